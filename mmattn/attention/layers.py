"""Layers that several mechanisms share. Parameter names are those of mmcv's ConvModule and Scale,
so that checkpoints of MMSegmentation fit."""

import math

import torch
from torch import Tensor, nn

from mmattn.attention.norms import NormSequential, build_norm

LayerCfg = dict | None

BN = {'type': 'BN'}
RELU = {'type': 'ReLU'}

_ACTIVATIONS = {
    'ReLU': lambda inplace=True: nn.ReLU(inplace),
    'LeakyReLU': lambda inplace=True, **kwargs: nn.LeakyReLU(inplace=inplace, **kwargs),
    'ReLU6': lambda inplace=True: nn.ReLU6(inplace),
    'ELU': lambda inplace=True, **kwargs: nn.ELU(inplace=inplace, **kwargs),
    'PReLU': nn.PReLU,
    'GELU': nn.GELU,
    'SiLU': lambda inplace=True: nn.SiLU(inplace),
    'Hardswish': lambda inplace=True: nn.Hardswish(inplace),
    'HSwish': lambda inplace=True: nn.Hardswish(inplace),
}


class ConvNormAct(NormSequential):
    """Convolution, normalisation, activation, each of the last two only if configured.

    A batch norm trains on any number of values: see `NormSequential`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd; the padding keeps height and width.
        norm_cfg: As in mmcv, for example ``dict(type='SyncBN')``; None leaves it out and gives the
            convolution a bias.
        act_cfg: As in mmcv, for example ``dict(type='ReLU')``; None leaves it out.
        stride, dilation, groups: Of the convolution.

    Raises:
        ValueError: Unknown norm or activation type, or channels that the groups do not divide.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        norm_cfg: LayerCfg = None,
        act_cfg: LayerCfg = None,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=groups,
            bias=norm_cfg is None,
        )
        nn.init.kaiming_normal_(self.conv.weight, mode='fan_out', nonlinearity='relu')
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)
        if norm_cfg is not None:
            self.add_module(*build_norm(norm_cfg, out_channels))
        if act_cfg is not None:
            self.activate = _build_activation(act_cfg)


class Scale(nn.Module):
    """A learnable factor for a residual branch, ``x -> scale * x``, scale of shape ()."""

    def __init__(self, scale: float = 0.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def default_channels(channels: int | None, in_channels: int, divisor: int) -> int:
    """``channels``; by default in_channels // divisor, but at least one.

    Raises:
        ValueError: ``channels`` is below 1.
    """
    if channels is None:
        return max(1, in_channels // divisor)
    require_positive(channels=channels)
    return channels


def reduced_channels(in_channels: int, reduction: int | None, default: int | None = None) -> int:
    """``in_channels // reduction``; None stands for the ``default``, which leaves at least one.

    Raises:
        ValueError: A reduction that leaves no channel.
    """
    if reduction is None and default is not None:
        return max(1, in_channels // default)
    if not 1 <= reduction <= in_channels:
        raise ValueError(
            f'reduction must be between 1 and in_channels={in_channels}, got {reduction}'
        )
    return in_channels // reduction


def dividing_groups(groups: int | None, channels: int, most: int, argument: str = 'groups') -> int:
    """``groups``; by default the largest power of two up to ``most`` that divides the channels.

    Raises:
        ValueError: ``groups`` does not divide the channels.
    """
    if groups is None:
        return math.gcd(channels, most)
    if groups < 1 or channels % groups:
        raise ValueError(
            f'{argument} must divide in_channels={channels}, got {groups}; '
            f'{math.gcd(channels, most)} does'
        )
    return groups


def require_positive(**numbers: int) -> None:
    """A ValueError that names the first argument below 1."""
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f'{name} must be at least 1, got {number}')


def channel_mlp(
    in_channels: int, hidden_channels: int, out_channels: int, bias: bool = False
) -> nn.Sequential:
    """Two 1x1 convolutions (fully connected layers on a 1x1 map) with a ReLU between them."""
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden_channels, 1, bias=bias),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden_channels, out_channels, 1, bias=bias),
    )


def start_at_zero(layer: ConvNormAct) -> None:
    """Let a residual branch that ends in ``layer`` (without activation) begin as zero."""
    last = [child for child in layer.children() if any(True for _ in child.parameters())][-1]
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


def _build_activation(act_cfg: dict) -> nn.Module:
    options = dict(act_cfg)
    kind = options.pop('type', None)
    if kind not in _ACTIVATIONS:
        raise ValueError(
            f'act_cfg: unknown type {kind!r}, known are {", ".join(sorted(_ACTIVATIONS))}'
        )
    return _ACTIVATIONS[kind](**options)
