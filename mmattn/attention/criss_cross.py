"""Recurrent criss-cross attention (CCNet, https://arxiv.org/abs/1811.11721)."""

from functools import partial

import torch
from torch import Tensor, nn

from mmattn.attention.attending import DotProduct
from mmattn.attention.functional import in_float32
from mmattn.attention.layers import Scale, default_channels, require_positive
from mmattn.attention.weighing import Weigh, compute
from mmattn.ops import criss_cross_attention


class CrissCross(nn.Module):
    """Criss-cross attention, ``recurrence`` steps with shared weights (sections 3.2 and 3.3).

    Each step is ``x <- gamma * attention(q(x), k(x), v(x)) + x`` over the column and row of a
    pixel; two steps connect every pair of pixels. gamma starts at 0: the module starts as the
    identity. With one step it takes the place of ``mmcv.ops.CrissCrossAttention``: same argument,
    same parameter names, same numbers.

    Cost: B * H * W * (H + W) scores for each step.

    Args:
        in_channels: Channels of the input; query and key have in_channels // 8, at least one.
        recurrence: Number of steps.

    Raises:
        ValueError: A recurrence below 1.
    """

    def __init__(self, in_channels: int, recurrence: int = 1) -> None:
        super().__init__()
        require_positive(recurrence=recurrence)
        channels = default_channels(None, in_channels, divisor=8)
        self.recurrence = recurrence
        self.query_conv = nn.Conv2d(in_channels, channels, 1)
        self.key_conv = nn.Conv2d(in_channels, channels, 1)
        self.value_conv = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale()

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        for _ in range(self.recurrence):
            query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
            x = self.gamma(weigh(Cross('cross', query, key, value))) + x
        return x


class Cross(DotProduct):
    """Attention of each pixel to its column and its row; all other weights are 0."""

    def compute(self) -> Tensor:
        return criss_cross_attention(self.query, self.key, self.value)

    def weights(self, queries: Tensor | None = None) -> Tensor:
        """Dense: (B, 1, P, H * W)."""
        height, width = self.queries.size
        if queries is None:
            queries = torch.arange(height * width, device=self.key.device)
        rows, columns = queries // width, queries % width
        weights = partial(_cross_weights, rows=rows, columns=columns)
        return in_float32(weights, self.query[:, :, rows, columns], self.key).unsqueeze(1)


def _cross_weights(query: Tensor, key: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B, Cq, P) queries at these rows and columns, (B, Cq, H, W) -> (B, P, H * W)."""
    query = query.transpose(1, 2).unsqueeze(2)
    of_column = torch.matmul(query, key[:, :, :, columns].permute(0, 3, 1, 2)).squeeze(2)
    of_row = torch.matmul(query, key[:, :, rows].permute(0, 2, 1, 3)).squeeze(2)
    each = torch.arange(len(rows), device=key.device)
    scores = key.new_full((len(key), len(rows), *key.shape[2:]), float('-inf'))
    scores[:, each, :, columns] = of_column.transpose(0, 1)
    scores[:, each, rows] = of_row
    return scores.flatten(2).softmax(dim=2)
