"""Frequency channel attention (FcaNet, https://arxiv.org/abs/2012.11879)."""

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.layers import channel_mlp, reduced_channels
from mmattn.attention.placing import register_constant
from mmattn.attention.weighing import Gate, Weigh, compute

# Vertical and horizontal frequency, best first. 'top' and 'bot' are the authors' ranking of the 7x7
# frequencies by the accuracy that each gives alone on ImageNet; 'low' starts at the lowest.
_FREQUENCIES = {
    'top': '00 01 60 05 02 10 12 40 50 16 30 04 06 03 35 22 46 63 33 53 55 21 61 52 54 32 31 41 23 '
    '20 65 13',
    'low': '00 01 10 11 02 20 21 12 22 03 30 40 04 13 31 05 14 23 32 41 50 06 15 24 33 42 51 60 16 '
    '25 34 43',
    'bot': '66 14 34 36 26 43 11 24 44 45 56 15 42 62 25 51 64 13 65 20 23 41 31 32 54 52 61 21 55 '
    '53 33 63',
}
_COUNTS = (1, 2, 4, 8, 16, 32)
_METHODS = [f'{kind}{count}' for kind in _FREQUENCIES for count in _COUNTS]


class FCA(nn.Module):
    """Multi-spectral channel attention.

    ``y = x * sigmoid(W2 relu(W1 f))``, f holding for each channel one coefficient of the discrete
    cosine transform of its map; the channels are split evenly among the frequencies. With the
    frequency (0, 0) alone this is squeeze-and-excitation with a scaled mean.

    The transform is taken on a grid of ``size``; maps of other sizes are first brought to it by
    adaptive average pooling, as in the authors' code. So weights do not depend on the crop.

    Cost: 2 * C**2 / reduction parameters, one pass over the map.

    Args:
        in_channels: Channels of the input; a multiple of the number of frequencies.
        size: Height and width of the grid, 7 or more. The authors take 56, 28, 14 and 7 in the four
            stages; frequencies are given on 7x7 and multiplied by size // 7.
        reduction: Ratio of the channels to the hidden ones; default 16, where fewer than
            16 channels leave one.
        frequencies: 'top', 'low' or 'bot' and their number, 1, 2, 4, 8, 16 or 32: 'top16'.

    Raises:
        ValueError: A size below 7, an unknown selection of frequencies, channels that they do not
            divide, or a reduction that leaves no channel.
    """

    def __init__(
        self,
        in_channels: int,
        size: int | tuple[int, int] = 7,
        reduction: int | None = None,
        frequencies: str = 'top16',
    ) -> None:
        super().__init__()
        if frequencies not in _METHODS:
            raise ValueError(f'frequencies must be one of {_METHODS}, got {frequencies!r}')
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if min(self.size) < 7:
            raise ValueError(f'size must be 7 or more, got {size}')
        count = int(frequencies[3:])
        if in_channels % count:
            working = f'{frequencies[:3]}{math.gcd(in_channels, count)}'
            raise ValueError(
                f'in_channels={in_channels} is not divisible by the {count} frequencies of '
                f'{frequencies!r}; {working!r} works'
            )
        pairs = [(int(u), int(v)) for u, v in _FREQUENCIES[frequencies[:3]].split()[:count]]
        register_constant(
            self, 'filters', partial(_dct_filters, pairs, *self.size, in_channels // count)
        )
        hidden_channels = reduced_channels(in_channels, reduction, default=16)
        self.excite = channel_mlp(in_channels, hidden_channels, in_channels)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        pooled = F.adaptive_avg_pool2d(x, self.size)
        coefficients = (pooled * self.filters).sum(dim=(2, 3), keepdim=True)
        return weigh(Gate('channels', torch.sigmoid(self.excite(coefficients)), x))


def _dct_filters(pairs: list[tuple[int, int]], height: int, width: int, repeats: int) -> Tensor:
    """Orthonormal cosines of the frequencies, each repeated: (len(pairs) * repeats, h, w)."""
    rows = [_cosine(u * (height // 7), height) for u, _ in pairs]
    columns = [_cosine(v * (width // 7), width) for _, v in pairs]
    filters = torch.stack(rows)[:, :, None] * torch.stack(columns)[:, None, :]
    return filters.float().repeat_interleave(repeats, dim=0)


def _cosine(frequency: int, length: int) -> Tensor:
    positions = torch.arange(length, dtype=torch.float64) + 0.5
    norm = math.sqrt((1 if frequency == 0 else 2) / length)
    return norm * torch.cos(math.pi * frequency * positions / length)
