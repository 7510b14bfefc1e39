"""Layers that the heads share."""

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor


def conv3x3(head: BaseDecodeHead, in_channels: int, out_channels: int | None = None) -> ConvModule:
    """A 3x3 convolution with the norm and activation of the head's config.

    Args:
        head: The head whose conv_cfg, norm_cfg and act_cfg are used.
        in_channels: Channels of the input.
        out_channels: Channels of the output; default ``head.channels``.
    """
    return ConvModule(
        in_channels,
        head.channels if out_channels is None else out_channels,
        3,
        padding=1,
        conv_cfg=head.conv_cfg,
        norm_cfg=head.norm_cfg,
        act_cfg=head.act_cfg,
    )


def require_plain_convolutions(head: BaseDecodeHead) -> None:
    """Raise ValueError for a ``conv_cfg`` that the attention of a head would not follow."""
    if (head.conv_cfg or {}).get('type', 'Conv2d') not in ('Conv2d', 'Conv'):
        raise ValueError(
            f'{type(head).__name__} has plain convolutions in its attention, got conv_cfg='
            f'{dict(head.conv_cfg)}; leave conv_cfg at None'
        )


def drop(head: BaseDecodeHead, x: Tensor) -> Tensor:
    """The head's dropout, if its config has one (``dropout_ratio`` above 0)."""
    return x if head.dropout is None else head.dropout(x)
