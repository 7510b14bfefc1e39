"""Layers that several mechanisms share. Parameter names are those of mmcv's ConvModule and Scale,
so that checkpoints of MMSegmentation fit."""

import math

import torch
from torch import Tensor, nn

LayerCfg = dict | None

BN = {'type': 'BN'}
RELU = {'type': 'ReLU'}

_NORMS = {
    'BN': ('bn', nn.BatchNorm2d),
    'SyncBN': ('bn', nn.SyncBatchNorm),
    'GN': (
        'gn',
        lambda channels, num_groups, **kwargs: nn.GroupNorm(num_groups, channels, **kwargs),
    ),
    'IN': ('in', nn.InstanceNorm2d),
}
_ACTIVATIONS = {
    'ReLU': lambda inplace=True: nn.ReLU(inplace),
    'LeakyReLU': lambda inplace=True, **kwargs: nn.LeakyReLU(inplace=inplace, **kwargs),
    'GELU': nn.GELU,
    'SiLU': lambda inplace=True: nn.SiLU(inplace),
    'Hardswish': lambda inplace=True: nn.Hardswish(inplace),
}


class ConvNormAct(nn.Sequential):
    """Convolution, normalisation, activation, each of the last two only if configured.

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
            self.activate = _build(_ACTIVATIONS, 'act_cfg', act_cfg)


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


def build_norm(norm_cfg: dict, channels: int) -> tuple[str, nn.Module]:
    """Name (mmcv's: 'bn', 'gn', 'in') and layer."""
    options = dict(norm_cfg)
    trainable = options.pop('requires_grad', True)
    name, _ = _lookup(_NORMS, 'norm_cfg', options)
    layer = _NORMS[options.pop('type')][1](channels, **options)
    layer.requires_grad_(trainable)
    return name, layer


def _build(table: dict, argument: str, cfg: dict) -> nn.Module:
    options = dict(cfg)
    factory = _lookup(table, argument, options)
    options.pop('type')
    return factory(**options)


def _lookup(table: dict, argument: str, cfg: dict) -> object:
    if cfg.get('type') not in table:
        raise ValueError(
            f'{argument}: unknown type {cfg.get("type")!r}, known are {", ".join(sorted(table))}'
        )
    return table[cfg['type']]
