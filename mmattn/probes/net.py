"""The net that every mechanism is put into."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.probes.scenes import CHANNELS

WIDTH = 32  # channels at the mechanism


class ProbeNet(nn.Module):
    """Two local convolutions, a mechanism, two local convolutions: a field of 9 x 9 without it.

    The padding is circular, so that nothing of the net tells where on the map a pixel lies.

    Args:
        make: Builds the mechanism for a number of channels. It is built last, so that of one seed
            all nets have the same convolutions.
        maps: 1 for a mechanism that takes a map, 2 for a fusion: it gets the outputs of the first
            and of the second convolution, as the sum of a residual block would.
    """

    def __init__(self, make: Callable[[int], nn.Module], maps: int = 1) -> None:
        super().__init__()
        self.first, self.second = _layer(CHANNELS), _layer(WIDTH)
        self.third = _layer(WIDTH)
        self.classify = _TorusConv(WIDTH, 2, 3)
        self.mechanism = make(WIDTH)
        self.maps = maps

    def forward(self, x: Tensor) -> Tensor:
        """(B, CHANNELS, SIZE, SIZE) -> (B, 2, SIZE, SIZE)."""
        early = self.first(x)
        late = self.second(early)
        mixed = self.mechanism(*(early, late)[2 - self.maps :])
        return self.classify(self.third(mixed))


class _TorusConv(nn.Conv2d):
    """A 3 x 3 convolution with `padding_mode='circular'` and `padding=1`, to the bit.

    torch pads the gradient of each border in a map of its own, which concatenating does not.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out_channels, H, W)."""
        x = torch.cat((x[..., -1:], x, x[..., :1]), dim=-1)
        x = torch.cat((x[..., -1:, :], x, x[..., :1, :]), dim=-2)
        return F.conv2d(x, self.weight, self.bias)


def _layer(in_channels: int) -> nn.Sequential:
    return nn.Sequential(
        _TorusConv(in_channels, WIDTH, 3, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(inplace=True),
    )


def build_net(make: Callable[[int], nn.Module], maps: int = 1, seed: int = 0) -> ProbeNet:
    """A net whose weights follow from the seed; torch's own random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ProbeNet(make, maps)
