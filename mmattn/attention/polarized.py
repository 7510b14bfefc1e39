"""Polarized self-attention (PSA, https://arxiv.org/abs/2107.00782)."""

import torch
from torch import Tensor, nn

from mmattn.attention.attending import IMAGE, Layout, Mixing, Pooling, pixels
from mmattn.attention.weighing import Gate, Weigh, compute

_MODES = ('parallel', 'sequential')


class PolarizedSelfAttention(nn.Module):
    """Channel gate and spatial gate, each collapsing the other dimension fully.

    ``A_ch = sigmoid(norm(Wz Wv (x . softmax(Wq x))))``, softmax over positions, and
    ``A_sp = sigmoid(softmax(Wq avg(x)) . Wv x)``, softmax over channels. Then
    ``y = x * A_ch + x * A_sp`` ('parallel') or ``z = x * A_ch, y = z * A_sp(z)`` ('sequential').

    The released code takes the spatial softmax over the positions, which leaves that gate close to
    1/2 everywhere, and varies the channel branch between the modes; it is not offered.

    Cost: about B * H * W * C**2 / 2 multiply-adds: the channel value and the spatial query are
    projected after the pooling, with which they commute.

    Args:
        in_channels: Channels of the input, at least 2; the inner width is in_channels // 2.
        mode: 'parallel' or 'sequential'.

    Raises:
        ValueError: in_channels is below 2, an unknown mode.
    """

    def __init__(self, in_channels: int, mode: str = 'parallel') -> None:
        super().__init__()
        if in_channels < 2:
            raise ValueError(f'in_channels must be at least 2, got {in_channels}')
        if mode not in _MODES:
            raise ValueError(f'mode must be one of {_MODES}, got {mode!r}')
        self.mode = mode
        channels = in_channels // 2
        # A bias would cancel in the softmax.
        self.channel_query = nn.Conv2d(in_channels, 1, 1, bias=False)
        self.channel_value = nn.Conv2d(in_channels, channels, 1)
        self.channel_out = nn.Conv2d(channels, in_channels, 1)
        self.channel_norm = nn.LayerNorm([in_channels, 1, 1])
        self.spatial_query = nn.Conv2d(in_channels, channels, 1)
        self.spatial_value = nn.Conv2d(in_channels, channels, 1)
        for conv in (self.channel_value, self.spatial_query, self.spatial_value):
            nn.init.kaiming_normal_(conv.weight, nonlinearity='relu')
            nn.init.zeros_(conv.bias)
        nn.init.kaiming_normal_(self.channel_query.weight, nonlinearity='relu')

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        out = weigh(Gate('channels', self._channel_gate(x, weigh), x))
        if self.mode == 'sequential':
            return weigh(Gate('positions', self._spatial_gate(out, weigh), out))
        return out + weigh(Gate('positions', self._spatial_gate(x, weigh), x))

    def _channel_gate(self, x: Tensor, weigh: Weigh) -> Tensor:
        """(B, C, H, W) -> (B, C, 1, 1)."""
        weights = self.channel_query(x).flatten(2).softmax(dim=2).to(x.dtype)
        pooling = Pooling(
            'pixels of the channel gate', weights, x.flatten(2), IMAGE, pixels(x.shape[2:])
        )
        pooled = weigh(pooling).unsqueeze(3)
        gate = self.channel_norm(self.channel_out(self.channel_value(pooled)))
        return torch.sigmoid(gate).to(x.dtype)

    def _spatial_gate(self, x: Tensor, weigh: Weigh) -> Tensor:
        """(B, C, H, W) -> (B, 1, H, W)."""
        query = self.spatial_query(x.mean(dim=(2, 3), keepdim=True)).flatten(1).softmax(dim=1)
        value = self.spatial_value(x)
        query = query.unsqueeze(1).to(value.dtype)
        each = Layout('channels', (query.shape[2],))
        scores = Mixing('channels of the spatial gate', query, value.flatten(2), IMAGE, each)
        return torch.sigmoid(weigh(scores)).unflatten(2, x.shape[2:])
