"""Spatial group-wise enhance (SGE, https://arxiv.org/abs/1905.09646)."""

import torch
from torch import Tensor, nn

from mmattn.attention.layers import dividing_groups
from mmattn.attention.weighing import Gate, Weigh, compute


class SGE(nn.Module):
    """In each group of channels, positions that resemble the group's mean are enhanced.

    ``y = x * sigmoid(weight * norm(x . mean(x)) + bias)`` per group: the dot product runs over the
    channels of the group, norm standardises it over the positions. The standard deviation is the
    unbiased one of the authors' code, where the paper divides by H * W; weight absorbs the
    difference. weight starts at 0 and bias at 1, so that every gate starts at sigmoid(1) = 0.73.

    Cost: 2 * B * C * H * W multiply-adds, 2 * groups parameters. Dot products and statistics are
    taken in fp32 at least.

    Args:
        in_channels: Channels of the input, a multiple of groups.
        groups: Number of groups; default the largest power of two up to 64 that divides
            in_channels.
        normalise: Standardise the dot products over the positions.
        initial_bias: Initial value of bias. This and normalise are for the comparisons of the
            paper, whose best are the defaults.

    Raises:
        ValueError: groups does not divide in_channels.
    """

    def __init__(
        self,
        in_channels: int,
        groups: int | None = None,
        normalise: bool = True,
        initial_bias: float = 1.0,
    ) -> None:
        super().__init__()
        groups = dividing_groups(groups, in_channels, most=64)
        self.groups = groups
        self.normalise = normalise
        self.weight = nn.Parameter(torch.zeros(groups, 1, 1))
        self.bias = nn.Parameter(torch.full((groups, 1, 1), float(initial_bias)))

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        groups = x.unflatten(1, (self.groups, -1))
        wide = torch.promote_types(x.dtype, torch.float32)
        center = groups.mean(dim=(3, 4), keepdim=True, dtype=wide)
        likeness = (groups * center).sum(dim=2)
        if self.normalise:
            likeness = _standardise(likeness)
        gate = torch.sigmoid(likeness * self.weight + self.bias)
        return weigh(Gate('positions', gate.unsqueeze(2).to(x.dtype), groups)).flatten(1, 2)


def _standardise(likeness: Tensor) -> Tensor:
    """(B, G, H, W) -> the same with mean 0 and deviation 1 over the positions."""
    centred = likeness - likeness.mean(dim=(2, 3), keepdim=True)
    # A single position deviates by 0 from itself; the unbiased formula would give 0 / 0.
    correction = min(1, likeness.shape[2] * likeness.shape[3] - 1)
    deviation = centred.std(dim=(2, 3), keepdim=True, correction=correction)
    return centred / (deviation + 1e-5)
