"""Multi-head self-attention (Transformer, https://arxiv.org/abs/1706.03762) on a feature map."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.attending import Heads
from mmattn.attention.layers import dividing_groups
from mmattn.attention.weighing import Weigh, compute


class MultiHeadSelfAttention(nn.Module):
    """Scaled dot-product attention of all pixels in several heads (section 3.2.2 of the paper).

    ``y = W [softmax(q_h^T k_h / sqrt(d)) v_h for each head h]``, d = in_channels / num_heads; no
    residual and no norm, which the paper adds outside. With ``relative_position`` the scores are
    ``q_i^T (k_j + r[row_j - row_i] + c[col_j - col_i]) / sqrt(d)``.

    Cost: 2 * B * (H * W)**2 * C multiply-adds; the scores are kept out of memory, also with
    positions (d is then d + H + W in the scores and in the values).

    Args:
        in_channels: Channels of the input.
        num_heads: Heads, which must divide in_channels; default 8, or 4, 2, 1 where 8 do not.
        relative_position: Largest offset R with vectors r and c of its own (shared by the heads);
            larger offsets use those of R and -R (https://arxiv.org/abs/1803.02155, one table an
            axis), so maps of any size run and nothing is resized. They start at 0. None: no
            positions, as in the encoder itself.

    Raises:
        ValueError: ``num_heads`` does not divide in_channels, or ``relative_position`` is below 1.
    """

    def __init__(
        self,
        in_channels: int,
        num_heads: int | None = None,
        relative_position: int | None = None,
    ) -> None:
        super().__init__()
        num_heads = dividing_groups(num_heads, in_channels, most=8, argument='num_heads')
        if relative_position is not None and relative_position < 1:
            raise ValueError(
                f'relative_position must be None or at least 1, got {relative_position}'
            )
        self.num_heads = num_heads
        self.relative_position = relative_position
        self.in_project = nn.Linear(in_channels, 3 * in_channels)
        self.out_project = nn.Linear(in_channels, in_channels)
        nn.init.xavier_uniform_(self.in_project.weight)
        nn.init.zeros_(self.in_project.bias)
        nn.init.zeros_(self.out_project.bias)
        if relative_position is not None:
            shape = (2 * relative_position + 1, in_channels // num_heads)
            self.row_offsets = nn.Parameter(torch.zeros(shape))
            self.column_offsets = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        size = x.shape[2:]
        tokens = self.in_project(x.flatten(2).transpose(1, 2))
        query, key, value = tokens.unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        width = value.shape[3]
        if self.relative_position is not None:
            query, key, value = self._add_positions(query, key, value, size)
        heads = weigh(Heads('pixels', query, key, value, width**-0.5, size))
        heads = heads[..., :width].transpose(1, 2).flatten(2)
        return self.out_project(heads).transpose(1, 2).unflatten(2, size)

    def _add_positions(
        self, query: Tensor, key: Tensor, value: Tensor, size: torch.Size
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fused kernels take no bias that depends on queries without storing it for all pairs;
        products with one-hot rows and columns of the keys are the same sum."""
        height, width = size
        rows = query.unflatten(2, size)
        row_scores = torch.einsum('bnhwd,hkd->bnhwk', rows, self._table(self.row_offsets, height))
        column_scores = torch.einsum(
            'bnhwd,wkd->bnhwk', rows, self._table(self.column_offsets, width)
        )
        query = torch.cat([query, row_scores.flatten(2, 3), column_scores.flatten(2, 3)], dim=3)
        own_row = torch.eye(height, dtype=key.dtype, device=key.device).repeat_interleave(width, 0)
        own_column = torch.eye(width, dtype=key.dtype, device=key.device).repeat(height, 1)
        own = torch.cat([own_row, own_column], dim=1).expand(*key.shape[:2], -1, -1)
        # One width for all three, since some kernels take no other.
        return query, torch.cat([key, own], dim=3), F.pad(value, (0, height + width))

    def _table(self, offsets: Tensor, length: int) -> Tensor:
        """Vectors of the offsets from each place to each: (length, length, channels of a head)."""
        places = torch.arange(length, device=offsets.device)
        limit = self.relative_position
        return offsets[(places - places[:, None]).clamp(-limit, limit) + limit]
