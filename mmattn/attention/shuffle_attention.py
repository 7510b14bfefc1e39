"""Shuffle attention (SA-Net, https://arxiv.org/abs/2102.00240)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.weighing import Gate, Weigh, compute


class ShuffleAttention(nn.Module):
    """Half of each group of channels is gated per channel, the other half per position.

    ``y = shuffle([x1 * sigmoid(w1 * avg(x1) + b1), x2 * sigmoid(w2 * gn(x2) + b2)])``. The weights
    are shared by the groups; the shuffle interleaves the two halves of all channels. w1 and w2
    start at 0, b1 and b2 at 1: every gate starts at sigmoid(1) = 0.73, but the shuffle changes the
    order of the channels from the start.

    Cost: O(B * C * H * W), 3 * in_channels / groups parameters.

    Args:
        in_channels: Channels of the input, a multiple of 2 * groups.
        groups: Number of groups; default the largest power of two up to 64 of which twice divides
            in_channels.

    Raises:
        ValueError: in_channels is odd, or 2 * groups does not divide it.
    """

    def __init__(self, in_channels: int, groups: int | None = None) -> None:
        super().__init__()
        if in_channels % 2:
            raise ValueError(f'in_channels must be even, got {in_channels}')
        if groups is None:
            groups = math.gcd(in_channels // 2, 64)
        if groups < 1 or in_channels % (2 * groups):
            raise ValueError(
                f'2 * groups must divide in_channels={in_channels}, got groups={groups}; '
                f'{math.gcd(in_channels // 2, 64)} works'
            )
        self.groups = groups
        shape = (in_channels // (2 * groups), 1, 1)
        self.channel_weight = nn.Parameter(torch.zeros(shape))
        self.channel_bias = nn.Parameter(torch.ones(shape))
        self.norm_weight = nn.Parameter(torch.ones(shape))
        self.norm_bias = nn.Parameter(torch.zeros(shape))
        self.spatial_weight = nn.Parameter(torch.zeros(shape))
        self.spatial_bias = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        channel, spatial = x.unflatten(1, (self.groups, 2, -1)).unbind(dim=2)
        mean = channel.mean(dim=(3, 4), keepdim=True)
        channel_gate = torch.sigmoid(self.channel_weight * mean + self.channel_bias)
        # The authors' group norm has one channel per group: each map is normalised by itself.
        normed = F.layer_norm(spatial, spatial.shape[3:]) * self.norm_weight + self.norm_bias
        spatial_gate = torch.sigmoid(self.spatial_weight * normed + self.spatial_bias)
        gated = [
            weigh(Gate('channels', channel_gate.to(x.dtype), channel)),
            weigh(Gate('positions', spatial_gate.to(x.dtype), spatial)),
        ]
        out = F.channel_shuffle(torch.stack(gated, dim=2).flatten(1, 3), 2)
        # Stacking forgets the memory format.
        if x.is_contiguous(memory_format=torch.channels_last):
            out = out.contiguous(memory_format=torch.channels_last)
        return out
