"""Efficient channel attention (ECA-Net, https://arxiv.org/abs/1910.03151)."""

import math

import torch
from torch import Tensor, nn

from mmattn.attention.weighing import Gate, Weigh, compute


class ECA(nn.Module):
    """Efficient channel attention, equations 8 and 12 of the paper.

    ``y = x * sigmoid(w * mean(x))``: one convolution of k weights along the channels, which share
    it. k grows with the channels, as the odd number next to (log2(C) + 1) / 2.

    Cost: k parameters, one pass over the map.

    Args:
        in_channels: Channels of the input.
        kernel_size: k, odd; default by the formula above (3 for 64 channels, 5 for 128).

    Raises:
        ValueError: A kernel size that is not an odd positive number.
    """

    def __init__(self, in_channels: int, kernel_size: int | None = None) -> None:
        super().__init__()
        if kernel_size is None:
            # The authors truncate, then take the next odd number.
            kernel_size = int((math.log2(in_channels) + 1) / 2) | 1
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f'kernel_size must be odd and positive, got {kernel_size}')
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        gate = torch.sigmoid(self.conv(x.mean(dim=(2, 3)).unsqueeze(1)))
        return weigh(Gate('channels', gate.transpose(1, 2).unsqueeze(3), x))
