"""Fully attentional block (FLA, https://arxiv.org/abs/2112.04108)."""

import torch
from torch import Tensor, nn

from mmattn.attention.attending import ChannelAttending, Layout
from mmattn.attention.functional import dot_product_attention, in_float32
from mmattn.attention.layers import BN, RELU, ConvNormAct, LayerCfg, Scale
from mmattn.attention.weighing import Weigh, compute
from mmattn.ops.autocast import dtype_of_products


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

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        columns = weigh(ChannelsOfLines('columns', x.transpose(2, 3), self.column_encoding))
        rows = weigh(ChannelsOfLines('rows', x, self.row_encoding))
        return self.conv(self.gamma(columns.transpose(2, 3) + rows) + x)


class ChannelsOfLines(ChannelAttending):
    """Channel attention within each line of the last axis, `axis` 'rows' or 'columns'.

    All N lines of one image share that image's keys; every image has its own. A line is to the
    weights what a head is elsewhere.

    Args:
        x: (B, C, N, L): N lines of L pixels.
        encoding: Of the keys, a map of L features.
    """

    def __init__(self, axis: str, x: Tensor, encoding: nn.Linear) -> None:
        self.name = self.axis = axis
        self.lines = x.transpose(1, 2)
        self.size = tuple(x.shape[:1:-1] if axis == 'columns' else x.shape[2:])
        keys = encoding(x.mean(dim=2).transpose(1, 2)).transpose(1, 2)
        self.key = keys.unsqueeze(1)
        self.queries = self.keys = Layout('channels', (x.shape[1],))

    def compute(self) -> Tensor:
        # Channels are the positions here and the L pixels of a line the features.
        # In the type of the products once, not as queries and again as values.
        lines = self.lines.to(dtype_of_products(self.lines))
        lines, key = (t.transpose(2, 3).flatten(0, 1) for t in (lines, self.key.expand_as(lines)))
        out = dot_product_attention(lines, key, lines, scale=1.0)
        return out.transpose(1, 2).unflatten(0, self.lines.shape[:2]).transpose(1, 2)

    def weights(self, queries: Tensor | None = None) -> Tensor:
        """(B, N, P, C)."""
        lines = self.lines if queries is None else self.lines[:, :, queries]
        return in_float32(_softmax, lines, self.key)

    def at_pixel(self, y: int, x: int) -> tuple[Tensor, Tensor, Tensor]:
        line, place = (x, y) if self.axis == 'columns' else (y, x)
        weights = in_float32(_softmax, self.lines[:, line], self.key[:, 0])
        values = self.lines[:, line, :, place]
        return weights, values, torch.matmul(weights, values.unsqueeze(2)).squeeze(2)

    def explicit(self) -> Tensor:
        return torch.matmul(self.weights(), self.lines).transpose(1, 2)


def _softmax(query: Tensor, key: Tensor) -> Tensor:
    return torch.matmul(query, key.transpose(-1, -2)).softmax(dim=-1)
