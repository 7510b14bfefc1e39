"""Coordinate attention (https://arxiv.org/abs/2103.02907)."""

import torch
from torch import Tensor, nn

from mmattn.attention.layers import BN, ConvNormAct, LayerCfg, require_positive
from mmattn.attention.weighing import Gate, Weigh, compute

_HSWISH = {'type': 'Hardswish'}
_MIN_CHANNELS = 8


class CoordinateAttention(nn.Module):
    """A gate per row times a gate per column: equations 4 to 9 of the paper.

    ``y[c, i, j] = x[c, i, j] * sigmoid(conv_h(f_h))[c, i] * sigmoid(conv_w(f_w))[c, j]``, f being
    the means of rows and columns after one shared conv - norm - hard swish.

    Cost: B * (H + W) * 2 * C * hidden multiply-adds beyond the two means and products.

    Args:
        in_channels: Channels of the input.
        reduction: The shared convolution has max(8, in_channels // reduction) channels.
        norm_cfg: Normalisation of the shared convolution.

    Raises:
        ValueError: reduction is below 1.
    """

    def __init__(self, in_channels: int, reduction: int = 32, norm_cfg: LayerCfg = BN) -> None:
        super().__init__()
        require_positive(reduction=reduction)
        hidden = max(_MIN_CHANNELS, in_channels // reduction)
        self.shared_conv = ConvNormAct(in_channels, hidden, 1, norm_cfg, _HSWISH)
        self.conv_h = ConvNormAct(hidden, in_channels)
        self.conv_w = ConvNormAct(hidden, in_channels)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        rows = x.mean(dim=3, keepdim=True)
        columns = x.mean(dim=2, keepdim=True).transpose(2, 3)
        lines = self.shared_conv(torch.cat([rows, columns], dim=2))
        rows, columns = lines.split(x.shape[2:], dim=2)
        row_gate = torch.sigmoid(self.conv_h(rows))
        column_gate = torch.sigmoid(self.conv_w(columns)).transpose(2, 3)
        return weigh(Gate('columns', column_gate, weigh(Gate('rows', row_gate, x))))
