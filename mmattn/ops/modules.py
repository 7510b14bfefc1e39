"""Modules over the operators."""

import torch
from torch import Tensor, nn

from mmattn.ops.criss_cross import criss_cross_attention


class Scale(nn.Module):
    """A learnable factor for a residual branch, ``x -> scale * x``, scale of shape ()."""

    def __init__(self, scale: float = 0.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class CrissCrossAttention(nn.Module):
    """One step of criss-cross attention (CCNet, https://arxiv.org/abs/1811.11721, section 3.2).

    ``x + gamma * attention(q(x), k(x), v(x))`` over the column and row of each pixel. gamma starts
    at 0: the module starts as the identity. Takes the place of ``mmcv.ops.CrissCrossAttention``:
    same argument, same parameter names, same numbers.

    Args:
        in_channels: Channels of the input, 8 or more (query and key have in_channels // 8).

    Raises:
        ValueError: Too few channels.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        if in_channels < 8:
            raise ValueError(f'in_channels must be at least 8, got {in_channels}')
        self.query_conv = nn.Conv2d(in_channels, in_channels // 8, 1)
        self.key_conv = nn.Conv2d(in_channels, in_channels // 8, 1)
        self.value_conv = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        context = criss_cross_attention(self.query_conv(x), self.key_conv(x), self.value_conv(x))
        return self.gamma(context) + x
