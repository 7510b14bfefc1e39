"""Concurrent spatial and channel squeeze-and-excitation (https://arxiv.org/abs/1803.02579)."""

import torch
from torch import Tensor, nn

from mmattn.attention.squeeze_excitation import SE
from mmattn.attention.weighing import Gate, Weigh, compute

_FUSIONS = {'sum': torch.add, 'max': torch.maximum}


class CSE(SE):
    """Channel gate: squeeze-and-excitation with biases and a reduction of 2, section 2.1.

    Cost: 2 * B * C**2 / reduction multiply-adds.

    Args:
        in_channels: Channels of the input.
        reduction: The MLP has in_channels // reduction hidden channels.

    Raises:
        ValueError: A reduction that leaves no channel.
    """

    def __init__(self, in_channels: int, reduction: int = 2) -> None:
        super().__init__(in_channels, reduction, bias=True)


class SSE(nn.Module):
    """Spatial gate: ``y = x * sigmoid(conv1x1(x))``, one gate per position, section 2.2.

    Cost: B * C * H * W multiply-adds.

    Args:
        in_channels: Channels of the input.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 1, 1)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return weigh(Gate('positions', torch.sigmoid(self.conv(x)), x))


class SCSE(nn.Module):
    """Both gates side by side: ``y = cse(x) + sse(x)``, section 2.3.

    The spatial gate has one channel, as in the paper; a gate of C channels, which some listings
    have, would no longer be spatial and is not offered.

    Cost: that of CSE and SSE.

    Args:
        in_channels: Channels of the input.
        reduction: Of the channel gate.
        fusion: 'sum' (the paper) or 'max' (the authors' code, the element-wise larger one).

    Raises:
        ValueError: A reduction that leaves no channel, an unknown fusion.
    """

    def __init__(self, in_channels: int, reduction: int = 2, fusion: str = 'sum') -> None:
        super().__init__()
        if fusion not in _FUSIONS:
            raise ValueError(f'fusion must be one of {tuple(_FUSIONS)}, got {fusion!r}')
        self.fusion = fusion
        self.cse = CSE(in_channels, reduction)
        self.sse = SSE(in_channels)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return _FUSIONS[self.fusion](self.cse(x, weigh), self.sse(x, weigh))
