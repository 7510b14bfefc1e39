"""Attention stage of the Residual Attention Network (https://arxiv.org/abs/1704.06904)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.layers import BN, LayerCfg, require_positive
from mmattn.attention.norms import NormSequential, build_norm
from mmattn.attention.weighing import Gate, Weigh, compute

_EXPANSION = 4


class ResidualAttention(nn.Module):
    """Attention residual learning, equation 3 of the paper: ``y = post((1 + M(u)) * T(u))``.

    u = pre(x). The trunk T is two residual units. The soft mask M pools ``depth`` times with a unit
    after each, goes back up by bilinear interpolation with a skip connection and a unit at each
    size, and ends in two 1x1 convolutions and a sigmoid: the paper's p = 1, t = 2, r = 1. Units are
    pre-activated bottlenecks of in_channels // 4. Any input size will do: the way up interpolates
    to the sizes that the way down has met.

    A common re-implementation also adds the unprocessed maps to the skips and the trunk to the
    mask; the paper does not, and that form is not offered.

    Cost: about 7.3 * B * H * W * C**2 multiply-adds (a ResNet bottleneck has 1.1).

    Args:
        in_channels: Channels of the input, at least 4.
        depth: Poolings of the mask branch; the paper takes 3 on maps of 56 x 56, 2 on 28 x 28, 1 on
            14 x 14.
        norm_cfg: Normalisation in the units.

    Raises:
        ValueError: in_channels is below 4, depth below 1.
    """

    def __init__(self, in_channels: int, depth: int = 3, norm_cfg: LayerCfg = BN) -> None:
        super().__init__()
        if in_channels < _EXPANSION:
            raise ValueError(f'in_channels must be at least {_EXPANSION}, got {in_channels}')
        require_positive(depth=depth)
        self.pre = _Unit(in_channels, norm_cfg)
        self.trunk = nn.Sequential(_Unit(in_channels, norm_cfg), _Unit(in_channels, norm_cfg))
        self.mask = nn.Sequential(
            _Hourglass(in_channels, depth, norm_cfg),
            _norm_relu_conv(in_channels, in_channels, 1, norm_cfg),
            _norm_relu_conv(in_channels, in_channels, 1, norm_cfg),
        )
        self.post = _Unit(in_channels, norm_cfg)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = self.pre(x)
        return self.post(weigh(Gate('values', 1 + torch.sigmoid(self.mask(x)), self.trunk(x))))


class _Hourglass(nn.Module):
    """Pool, unit, the same again inside with a skip beside it, unit, interpolate back."""

    def __init__(self, channels: int, depth: int, norm_cfg: LayerCfg) -> None:
        super().__init__()
        self.down = _Unit(channels, norm_cfg)
        self.up = _Unit(channels, norm_cfg)
        self.skip, self.inner = None, None
        if depth > 1:
            self.skip = _Unit(channels, norm_cfg)
            self.inner = _Hourglass(channels, depth - 1, norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        out = self.down(F.max_pool2d(x, 3, stride=2, padding=1))
        if self.inner is not None:
            out = self.inner(out) + self.skip(out)
        return F.interpolate(self.up(out), x.shape[2:], mode='bilinear', align_corners=True)


class _Unit(nn.Sequential):
    """Pre-activated residual bottleneck."""

    def __init__(self, channels: int, norm_cfg: LayerCfg) -> None:
        hidden = channels // _EXPANSION
        super().__init__(
            _norm_relu_conv(channels, hidden, 1, norm_cfg),
            _norm_relu_conv(hidden, hidden, 3, norm_cfg),
            _norm_relu_conv(hidden, channels, 1, norm_cfg),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def _norm_relu_conv(
    in_channels: int, out_channels: int, kernel_size: int, norm_cfg: LayerCfg
) -> nn.Sequential:
    layers = NormSequential()
    if norm_cfg is not None:
        layers.add_module(*build_norm(norm_cfg, in_channels))
    layers.add_module('activate', nn.ReLU())
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode='fan_out', nonlinearity='relu')
    layers.add_module('conv', conv)
    return layers
