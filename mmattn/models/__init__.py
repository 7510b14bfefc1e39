"""What MMSegmentation builds; importing this package registers it in mmseg.registry.MODELS."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.models.backbones import (  # noqa: E402
    AlignedHRNet,
    AttnResNet,
    AttnResNetV1c,
    AttnResNetV1d,
    AttnResNeXt,
)
from mmattn.models.decode_heads import (  # noqa: E402
    ANLHead,
    AttentionHead,
    BandedFCNHead,
    CCNetHead,
    DANetHead,
    FLAHead,
    GCNetHead,
    GroundTruthOCRHead,
    OCRNetHead,
)
from mmattn.models.fusions import (  # noqa: E402
    AddFusion,
    ConcatFusion,
    InceptionConv,
    SelectiveFusion,
)
from mmattn.models.losses import CategoryConsistentLoss  # noqa: E402
from mmattn.models.mechanisms import MECHANISMS  # noqa: E402
from mmattn.models.necks import AFFFPN, AttentionNeck  # noqa: E402
from mmattn.models.segmentors import GroundTruthCascade  # noqa: E402

__all__ = [
    'AFFFPN',
    'ANLHead',
    'AddFusion',
    'AlignedHRNet',
    'AttentionHead',
    'AttentionNeck',
    'AttnResNeXt',
    'AttnResNet',
    'AttnResNetV1c',
    'AttnResNetV1d',
    'BandedFCNHead',
    'CCNetHead',
    'CategoryConsistentLoss',
    'ConcatFusion',
    'DANetHead',
    'FLAHead',
    'GCNetHead',
    'GroundTruthCascade',
    'GroundTruthOCRHead',
    'InceptionConv',
    'MECHANISMS',
    'OCRNetHead',
    'SelectiveFusion',
]
