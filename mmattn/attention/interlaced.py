"""Interlaced sparse self-attention (ISA, https://arxiv.org/abs/1907.12273)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.functional import dot_product_attention
from mmattn.attention.layers import (
    BN,
    RELU,
    ConvNormAct,
    LayerCfg,
    default_channels,
    require_positive,
)


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

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        batch, channels, height, width = x.shape
        (rows, step_y), (cols, step_x) = (
            (-(-size // step), step)
            for size, step in zip((height, width), self.down_factor, strict=True)
        )
        pad_y, pad_x = rows * step_y - height, cols * step_x - width
        top, left = pad_y // 2, pad_x // 2
        padded = F.pad(x, (left, pad_x - left, top, pad_y - top))
        # Pixel (r * step_y + i, c * step_x + j) is cell (r, c) of the interlaced map (i, j).
        cells = padded.reshape(batch, channels, rows, step_y, cols, step_x)
        cells = cells.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)
        cells = self.long_range(cells).unflatten(0, (batch, step_y, step_x))
        blocks = self.short_range(cells.permute(0, 4, 5, 3, 1, 2).flatten(0, 2))
        blocks = blocks.unflatten(0, (batch, rows, cols)).permute(0, 3, 1, 4, 2, 5)
        context = blocks.flatten(4, 5).flatten(2, 3)
        context = context[:, :, top : top + height, left : left + width]
        return self.bottleneck(torch.cat([x, context], dim=1))


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

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.query_project(x), self.key_project(x), self.value_project(x)
        return self.out_project(dot_product_attention(query, key, value, self.scale))
