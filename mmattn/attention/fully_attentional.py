"""Fully attentional block (FLA, https://arxiv.org/abs/2112.04108)."""

from torch import Tensor, nn

from mmattn.attention.functional import dot_product_attention
from mmattn.attention.layers import BN, RELU, ConvNormAct, LayerCfg, Scale


class FullyAttentional(nn.Module):
    """Channel attention that keeps the position: the paper's "Fully Attentional Block".

    In every column, channels attend to channels, their keys being the map averaged over the columns
    (and projected); likewise in every row; ``y = conv(gamma * (columns + rows) + x)``. gamma starts
    at 0.

    Cost: B * (H + W) maps of C x C scores.

    Args:
        in_channels: Channels of the input and output.
        norm_cfg: Normalisation after the 3x3 convolution.
        act_cfg: Activation after the 3x3 convolution.
    """

    def __init__(self, in_channels: int, norm_cfg: LayerCfg = BN, act_cfg: LayerCfg = RELU) -> None:
        super().__init__()
        self.column_encoding = nn.Linear(in_channels, in_channels)
        self.row_encoding = nn.Linear(in_channels, in_channels)
        self.gamma = Scale()
        self.conv = ConvNormAct(in_channels, in_channels, 3, norm_cfg, act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        columns = _attend_along(x.transpose(2, 3), self.column_encoding).transpose(2, 3)
        rows = _attend_along(x, self.row_encoding)
        return self.conv(self.gamma(columns + rows) + x)


def _attend_along(x: Tensor, encoding: nn.Linear) -> Tensor:
    """Channel attention within each line of the last axis: (B, C, N, L) -> (B, C, N, L).

    All N lines of one image share that image's keys; every image has its own.
    """
    lines = x.transpose(1, 2)
    keys = encoding(x.mean(dim=2).transpose(1, 2)).transpose(1, 2)
    keys = keys.unsqueeze(1).expand_as(lines)
    # Channels are the positions here and the L pixels of a line the features.
    query, key, value = (t.transpose(2, 3).flatten(0, 1) for t in (lines, keys, lines))
    out = dot_product_attention(query, key, value, scale=1.0)
    return out.transpose(1, 2).unflatten(0, lines.shape[:2]).transpose(1, 2)
