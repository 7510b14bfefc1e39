"""Layers that several mechanisms share. Parameter names are those of mmcv's ConvModule and Scale,
so that checkpoints of MMSegmentation fit."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.norms import NormSequential, build_norm

Config = dict | None

BN = {'type': 'BN'}
RELU = {'type': 'ReLU'}

_ACTIVATIONS = {
    'ReLU': lambda inplace=True: nn.ReLU(inplace),
    'LeakyReLU': lambda inplace=True, **kwargs: nn.LeakyReLU(inplace=inplace, **kwargs),
    'GELU': nn.GELU,
    'SiLU': lambda inplace=True: nn.SiLU(inplace),
    'Hardswish': lambda inplace=True: nn.Hardswish(inplace),
}

# Scores beyond this number (64 MiB in fp32) are worth a fused kernel on the CPU at inference.
_LARGE_MAP = 2**24


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
        norm_cfg: Config = None,
        act_cfg: Config = None,
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


def reduced_channels(in_channels: int, reduction: int) -> int:
    """``in_channels // reduction``; a ValueError where that leaves no channel."""
    if not 1 <= reduction <= in_channels:
        raise ValueError(
            f'reduction must be between 1 and in_channels={in_channels}, got {reduction}'
        )
    return in_channels // reduction


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


def dot_product_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Single-head attention between two feature maps: ``softmax(scale * query^T key) value``.

    Fused kernels keep the S x T scores out of memory; on the CPU they pay only at inference on
    large maps (training there is two to three times faster with plain matrix products), and in
    fp16, whose range the scores may leave: the kernels keep theirs in fp32.

    Args:
        query: Shape (B, Cq, *S), S being one or two spatial sizes.
        key: Shape (B, Cq, *T).
        value: Shape (B, C, *T).
        scale: Factor on the scores.

    Returns:
        Tensor of shape (B, C, *S).
    """
    spatial = query.shape[2:]
    query, key, value = (x.flatten(2).transpose(1, 2) for x in (query, key, value))
    on_cpu = query.device.type == 'cpu'
    large = query.shape[0] * query.shape[1] * key.shape[1] > _LARGE_MAP
    if on_cpu and (torch.is_grad_enabled() or not large) and not _computes_in_fp16(query):
        scores = torch.matmul(query * scale, key.transpose(1, 2))
        out = torch.matmul(scores.softmax(dim=-1), value)
    else:
        out = _fused_attention(query, key, value, scale, equal_widths=on_cpu)
    return out.transpose(1, 2).unflatten(2, spatial)


def _computes_in_fp16(x: Tensor) -> bool:
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type) == torch.float16
    return x.dtype == torch.float16


def _fused_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float, equal_widths: bool
) -> Tensor:
    missing = value.shape[2] - query.shape[2]
    if equal_widths and missing > 0:
        # The CPU kernel takes one head width; zero channels do not change the scores.
        query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    query, key, value = (x.unsqueeze(1).contiguous() for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, scale=scale).squeeze(1)
