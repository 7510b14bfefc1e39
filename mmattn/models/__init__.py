"""What MMSegmentation builds; importing this package registers it in mmseg.registry.MODELS."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.models.backbones import (  # noqa: E402
    AlignedHRNet,
    AttnResNet,
    AttnResNetV1c,
    AttnResNetV1d,
)
from mmattn.models.decode_heads import (  # noqa: E402
    ANLHead,
    AttentionHead,
    CCNetHead,
    DANetHead,
    FLAHead,
    GCNetHead,
    OCRNetHead,
)
from mmattn.models.mechanisms import MECHANISMS  # noqa: E402
from mmattn.models.necks import AFFFPN, AttentionNeck  # noqa: E402

__all__ = [
    'AFFFPN',
    'ANLHead',
    'AlignedHRNet',
    'AttentionHead',
    'AttentionNeck',
    'AttnResNet',
    'AttnResNetV1c',
    'AttnResNetV1d',
    'CCNetHead',
    'DANetHead',
    'FLAHead',
    'GCNetHead',
    'MECHANISMS',
    'OCRNetHead',
]
