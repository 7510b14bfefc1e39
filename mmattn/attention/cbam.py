"""Convolutional block attention module (CBAM, https://arxiv.org/abs/1807.06521)."""

import torch
from torch import Tensor, nn

from mmattn.attention.layers import BN, ConvNormAct, LayerCfg, channel_mlp, reduced_channels
from mmattn.attention.norms import BATCH_NORMS
from mmattn.attention.weighing import Gate, Weigh, compute

# Of the authors' code.
_MOMENTUM = 0.01
_ORDERS = {
    'channel_first': ('channel', 'spatial'),
    'spatial_first': ('spatial', 'channel'),
    'parallel': ('channel', 'spatial'),
    'channel': ('channel',),
    'spatial': ('spatial',),
}
_POOLING = {'both': (torch.amax, torch.mean), 'avg': (torch.mean,), 'max': (torch.amax,)}


class CBAM(nn.Module):
    """Channel gate, then spatial gate: equations 1 to 3 of the paper.

    ``z = x * sigmoid(mlp(avg(x)) + mlp(max(x)))`` over positions, then
    ``y = z * sigmoid(norm(conv([max(z), avg(z)])))`` over channels. The equations leave out the
    normalisation, the authors' code has it; its weight starts at 0 as there, so that the spatial
    gate starts at 1/2 everywhere.

    ``order`` and ``pooling`` are for the comparisons of section 4.1, whose best are the defaults.

    Cost: 4 * B * C**2 / reduction + 2 * kernel_size**2 * B * H * W multiply-adds.

    Args:
        in_channels: Channels of the input.
        reduction: The MLP has in_channels // reduction hidden channels; default 16, where
            fewer than 16 channels leave one.
        kernel_size: Of the spatial convolution, odd.
        norm_cfg: Normalisation of the spatial gate; None leaves it out. A batch norm whose config
            does not state a momentum has that of the authors' code, 0.01.
        order: 'channel_first', 'spatial_first', 'parallel' (both gates look at the input, which is
            multiplied by both), or one gate alone: 'channel', 'spatial'.
        pooling: What both gates look at: 'avg', 'max' or 'both'.

    Raises:
        ValueError: A reduction that leaves no channel, an even kernel_size, an unknown order or
            pooling.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int | None = None,
        kernel_size: int = 7,
        norm_cfg: LayerCfg = BN,
        order: str = 'channel_first',
        pooling: str = 'both',
    ) -> None:
        super().__init__()
        if order not in _ORDERS:
            raise ValueError(f'order must be one of {tuple(_ORDERS)}, got {order!r}')
        if pooling not in _POOLING:
            raise ValueError(f'pooling must be one of {tuple(_POOLING)}, got {pooling!r}')
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f'kernel_size must be odd and positive, got {kernel_size}')
        self.order = order
        self.pooling = pooling
        self.channel_mlp, self.spatial_conv = None, None
        if 'channel' in _ORDERS[order]:
            hidden = reduced_channels(in_channels, reduction, default=16)
            self.channel_mlp = channel_mlp(in_channels, hidden, in_channels, bias=True)
            for layer in self.channel_mlp[::2]:
                nn.init.zeros_(layer.bias)
        if 'spatial' in _ORDERS[order]:
            self.spatial_conv = _spatial_conv(len(_POOLING[pooling]), kernel_size, norm_cfg)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        given = x
        for kind in _ORDERS[self.order]:
            seen = given if self.order == 'parallel' else x
            if kind == 'channel':
                x = weigh(Gate('channels', self._channel_gate(seen), x))
            else:
                x = weigh(Gate('positions', self._spatial_gate(seen), x))
        return x

    def _channel_gate(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 1, 1)."""
        return torch.sigmoid(sum(self.channel_mlp(pooled) for pooled in self._pool(x, (2, 3))))

    def _spatial_gate(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 1, H, W)."""
        return torch.sigmoid(self.spatial_conv(torch.cat(self._pool(x, (1,)), dim=1)))

    def _pool(self, x: Tensor, dim: tuple[int, ...]) -> list[Tensor]:
        return [pool(x, dim=dim, keepdim=True) for pool in _POOLING[self.pooling]]


def _spatial_conv(in_channels: int, kernel_size: int, norm_cfg: LayerCfg) -> ConvNormAct:
    if isinstance(norm_cfg, dict) and norm_cfg.get('type') in BATCH_NORMS:
        norm_cfg = {'momentum': _MOMENTUM, **norm_cfg}
    layers = ConvNormAct(in_channels, 1, kernel_size, norm_cfg)
    for norm in list(layers)[1:]:
        if norm.affine:
            nn.init.zeros_(norm.weight)
    return layers
