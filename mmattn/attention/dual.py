"""Position and channel attention (DANet, https://arxiv.org/abs/1809.02983)."""

import torch
from torch import Tensor, nn

from mmattn.attention.attending import ChannelMixing, DotProduct
from mmattn.attention.functional import in_float32
from mmattn.attention.layers import Scale, default_channels
from mmattn.attention.weighing import Weigh, compute


class PositionAttention(nn.Module):
    """Position attention module, equations 1 and 2 of the paper.

    ``y = gamma * softmax(q^T k) v + x`` over all H * W positions; the scores are not scaled. gamma
    starts at 0, so the module starts as the identity.

    Cost: B * (H * W)**2 * (channels + in_channels) multiply-adds besides the projections; the
    (H * W)**2 scores are stored only where no fused kernel serves.

    Args:
        in_channels: Channels of the input.
        channels: Channels of query and key; default in_channels // 8 (at least one), as in the
            paper.

    Raises:
        ValueError: ``channels`` is below 1.
    """

    def __init__(self, in_channels: int, channels: int | None = None) -> None:
        super().__init__()
        channels = default_channels(channels, in_channels, divisor=8)
        self.query_project = nn.Conv2d(in_channels, channels, 1)
        self.key_project = nn.Conv2d(in_channels, channels, 1)
        self.value_project = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale()

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        query, key, value = self.query_project(x), self.key_project(x), self.value_project(x)
        return x + self.gamma(weigh(DotProduct('pixels', query, key, value)))


class ChannelAttention(nn.Module):
    """Channel attention module, equations 3 and 4 of the paper.

    ``y = gamma * softmax(-x x^T) x + x``: channels attend to the channels that they resemble least,
    since the authors' code takes the softmax of (row maximum - energy). Equation 3 of the paper is
    ``softmax(x x^T)``, where a channel attends to those that resemble it, itself above all. gamma
    starts at 0.

    Cost: 2 * B * C**2 * H * W multiply-adds, C**2 scores. The energies are sums over H * W products
    and leave the range of fp16, so they are taken in fp32 at least, under autocast too.

    Args:
        in_channels: Channels of the input, which no layer depends on.
        negate_energy: The sign under the softmax: True is the authors' code, False the paper's
            equation.
    """

    def __init__(self, in_channels: int, negate_energy: bool = True) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.negate_energy = negate_energy
        self.gamma = Scale()

    def extra_repr(self) -> str:
        return f'in_channels={self.in_channels}, negate_energy={self.negate_energy}'

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        features = x.flatten(2)
        attention = in_float32(self._affinity, features)
        out = weigh(ChannelMixing('channels', attention, features, x.shape[2:]))
        return x + self.gamma(out.unflatten(2, x.shape[2:]))

    def _affinity(self, features: Tensor) -> Tensor:
        """(B, C, N) -> (B, C, C), each row summing to 1."""
        energy = torch.matmul(features, features.transpose(1, 2))
        # softmax(max - energy) is softmax(-energy): a shift of a row cancels.
        return (-energy if self.negate_energy else energy).softmax(dim=-1)
