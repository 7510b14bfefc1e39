"""Backbones that take attention mechanisms at more places than mmseg's do."""

from mmattn.models.backbones.aligned_hrnet import AlignedHRNet
from mmattn.models.backbones.attn_resnet import (
    AttnResNet,
    AttnResNetV1c,
    AttnResNetV1d,
    AttnResNeXt,
)

__all__ = ['AlignedHRNet', 'AttnResNet', 'AttnResNetV1c', 'AttnResNetV1d', 'AttnResNeXt']
