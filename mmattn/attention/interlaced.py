"""Interlaced sparse self-attention (ISA, https://arxiv.org/abs/1907.12273)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.attending import DotProduct, pixels
from mmattn.attention.functional import in_float32
from mmattn.attention.layers import (
    BN,
    RELU,
    ConvNormAct,
    LayerCfg,
    default_channels,
    require_positive,
)
from mmattn.attention.weighing import Weigh, compute


class InterlacedSparse(nn.Module):
    """Long-range, then short-range self-attention: together they connect every pair of pixels.

    ``y = bottleneck([x, short(long(x))])``. With P_h x P_w = ``down_factor``, ``long`` attends
    among the pixels that lie P_h rows and P_w columns apart, ``short`` within each block of
    P_h x P_w pixels. Each is ``W(softmax(q^T k / sqrt(channels)) v)``.

    Maps that the factors do not divide are padded with zeros on both sides; as in the authors' code
    the padded cells take part in the attention.

    Cost: B * H * W * (H * W / (P_h * P_w) + P_h * P_w) scores instead of B * (H * W)**2.

    Args:
        in_channels: Channels of the input.
        channels: Channels of query and key; default in_channels // 2, at least one.
        value_channels: Channels of the values; default in_channels.
        out_channels: Channels of the output and of both attentions'; default in_channels.
        down_factor: P_h and P_w.
        norm_cfg: Normalisation of queries, keys, outputs and the bottleneck.
        act_cfg: Activation of the same.

    Raises:
        ValueError: Fewer than one channel, or a factor below 1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int | None = None,
        value_channels: int | None = None,
        out_channels: int | None = None,
        down_factor: Sequence[int] = (8, 8),
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        channels = default_channels(channels, in_channels, divisor=2)
        value_channels = in_channels if value_channels is None else value_channels
        out_channels = in_channels if out_channels is None else out_channels
        require_positive(value_channels=value_channels, out_channels=out_channels)
        if len(down_factor) != 2 or min(down_factor) < 1:
            raise ValueError(f'down_factor must be two numbers of at least 1, got {down_factor!r}')
        self.down_factor = tuple(down_factor)
        self.long_range, self.short_range = (
            _SelfAttention(source, channels, value_channels, out_channels, norm_cfg, act_cfg)
            for source in (in_channels, out_channels)
        )
        self.bottleneck = ConvNormAct(
            in_channels + out_channels, out_channels, 1, norm_cfg, act_cfg
        )

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        height, width = x.shape[2:]
        (rows, step_y), (cols, step_x) = (
            (-(-size // step), step)
            for size, step in zip((height, width), self.down_factor, strict=True)
        )
        pad_y, pad_x = rows * step_y - height, cols * step_x - width
        top, left = pad_y // 2, pad_x // 2
        padded = F.pad(x, (left, pad_x - left, top, pad_y - top))

        def interlace(x: Tensor) -> Tensor:
            # Pixel (r * step_y + i, c * step_x + j) is cell (r, c) of the interlaced map (i, j).
            cells = x.reshape(*x.shape[:2], rows, step_y, cols, step_x)
            return cells.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)

        def block(cells: Tensor) -> Tensor:
            cells = cells.unflatten(0, (-1, step_y, step_x))
            return cells.permute(0, 4, 5, 3, 1, 2).flatten(0, 2)

        size, window = (rows * step_y, cols * step_x), (top, left, height, width)
        far = Place('long range', interlace, size, window)
        near = Place('short range', lambda x: block(interlace(x)), size, window)
        blocks = self.short_range(
            block(self.long_range(interlace(padded), weigh, far)), weigh, near
        )
        blocks = blocks.unflatten(0, (-1, rows, cols)).permute(0, 3, 1, 4, 2, 5)
        context = blocks.flatten(4, 5).flatten(2, 3)
        context = context[:, :, top : top + height, left : left + width]
        return self.bottleneck(torch.cat([x, context], dim=1))


class Place(NamedTuple):
    """Which pixels form the groups that attend among themselves.

    Attributes:
        name: Of the attention.
        group: (B, C, Hp, Wp) -> (B * groups, C, h, w).
        size: Hp and Wp, those of the padded map.
        window: Top, left, height and width of the map in it.
    """

    name: str
    group: Callable[[Tensor], Tensor]
    size: tuple[int, int]
    window: tuple[int, int, int, int]


class Groups(DotProduct):
    """Attention within groups of pixels; queries and keys are numbered on the padded map.

    Args:
        query, key, value: (B * groups, channels, h, w).
        scale: Factor on the scores.
        place: Where the groups lie.
    """

    def __init__(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, place: Place
    ) -> None:
        super().__init__(place.name, query, key, value, scale)
        self.place = place
        self.queries = self.keys = pixels(place.size)

    def weights(self, queries: Tensor | None = None) -> Tensor:
        """Dense: (B, 1, P, Hp * Wp)."""
        members = self._members()
        if queries is None:
            queries = torch.arange(members.numel(), device=members.device)
        # The groups of the queries, and their places in them.
        order = members.flatten().argsort()[queries]
        group, cell = order // members.shape[1], order % members.shape[1]
        query, key = (x.flatten(2).unflatten(0, (-1, len(members))) for x in (self.query, self.key))
        query = query.transpose(2, 3)[:, group, cell].unsqueeze(3)  # (B, P, Cq, 1)
        pairs = in_float32(self._pairs_of_each, query, key[:, group])
        dense = pairs.new_zeros(*pairs.shape[:2], members.numel())
        return dense.scatter(2, members[group].expand_as(pairs), pairs).unsqueeze(1)

    def explicit(self) -> Tensor:
        members = self._members()
        value = self.value.flatten(2).unflatten(0, (-1, len(members))).transpose(1, 2)
        dense = value.new_empty(*value.shape[:2], members.numel())
        dense[:, :, members] = value
        out = torch.matmul(dense, self.weights().squeeze(1).to(dense.dtype).transpose(1, 2))
        out = out[:, :, members].transpose(1, 2).flatten(0, 1)
        return out.unflatten(2, self.query.shape[2:])

    def index(self, y: int, x: int, size: tuple[int, int]) -> int:
        top, left, height, width = self.place.window
        row, column = top + y * height // size[0], left + x * width // size[1]
        return row * self.place.size[1] + column

    def on_pixels(self, weights: Tensor) -> Tensor:
        """Without the padding, which may have a share of the weights."""
        top, left, height, width = self.place.window
        maps = weights.unflatten(-1, self.place.size)
        return maps[..., top : top + height, left : left + width]

    def _members(self) -> Tensor:
        """(groups, pixels of a group), numbers of pixels."""
        height, width = self.place.size
        numbers = torch.arange(height * width, device=self.query.device)
        return self.place.group(numbers.reshape(1, 1, height, width)).flatten(1)

    def _pairs_of_each(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, P, Cq, 1), (B, P, Cq, K) -> (B, P, K)."""
        return (self.scale * query * key).sum(dim=2).softmax(dim=2)


class _SelfAttention(nn.Module):
    def __init__(
        self,
        in_channels: int,
        channels: int,
        value_channels: int,
        out_channels: int,
        norm_cfg: LayerCfg,
        act_cfg: LayerCfg,
    ) -> None:
        super().__init__()
        self.scale = channels**-0.5
        self.query_project, self.key_project = (
            nn.Sequential(
                ConvNormAct(in_channels, channels, 1, norm_cfg, act_cfg),
                ConvNormAct(channels, channels, 1, norm_cfg, act_cfg),
            )
            for _ in range(2)
        )
        self.value_project = nn.Conv2d(in_channels, value_channels, 1, bias=False)
        self.out_project = ConvNormAct(value_channels, out_channels, 1, norm_cfg, act_cfg)

    def forward(self, x: Tensor, weigh: Weigh, place: Place) -> Tensor:
        query, key, value = self.query_project(x), self.key_project(x), self.value_project(x)
        return self.out_project(weigh(Groups(query, key, value, self.scale, place)))
