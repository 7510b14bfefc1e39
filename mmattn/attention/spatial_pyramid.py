"""Spatial pyramid attention (SPANet, ICME 2020, https://doi.org/10.1109/ICME46284.2020.9102906)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.layers import channel_mlp, default_channels
from mmattn.attention.weighing import Gate, Weigh, compute

_POOL_SIZES = (1, 2, 4)


class SPA(nn.Module):
    """Spatial pyramid attention: squeeze-and-excitation over a pyramid of averages.

    ``y = x * sigmoid(W2 relu(W1 [pool1(x), pool2(x), pool4(x)]))``, pool_n being the averages over
    a grid of n x n cells: 21 numbers for each channel.

    Cost: 22 * C * channels parameters, three passes over the map.

    Args:
        in_channels: Channels of the input.
        channels: Hidden channels; default in_channels // 16 (at least one), as in the authors'
            ResNets. Their DenseNets have 21 * in_channels // 16: twenty-one times the parameters.

    Raises:
        ValueError: ``channels`` is below 1.
    """

    def __init__(self, in_channels: int, channels: int | None = None) -> None:
        super().__init__()
        channels = default_channels(channels, in_channels, divisor=16)
        cells = sum(size**2 for size in _POOL_SIZES)
        self.excite = channel_mlp(cells * in_channels, channels, in_channels)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return weigh(Gate('channels', self.gate(x), x))

    def gate(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 1, 1), the factors of the channels."""
        pyramid = [F.adaptive_avg_pool2d(x, size).flatten(1) for size in _POOL_SIZES]
        return torch.sigmoid(self.excite(torch.cat(pyramid, dim=1)[:, :, None, None]))
