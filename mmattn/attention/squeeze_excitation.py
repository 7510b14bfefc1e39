"""Squeeze-and-excitation (SE-Net, https://arxiv.org/abs/1709.01507)."""

import torch
from torch import Tensor, nn

from mmattn.attention.layers import channel_mlp, reduced_channels
from mmattn.attention.weighing import Gate, Weigh, compute


class SE(nn.Module):
    """Squeeze-and-excitation, equations 2 to 4 of the paper.

    ``y = x * sigmoid(W2 relu(W1 mean(x)))``, the mean taken over the image.

    Cost: 2 * C**2 / reduction parameters, one pass over the map.

    Args:
        in_channels: Channels of the input.
        reduction: Ratio of the channels to the hidden ones; default 16, where fewer than
            16 channels leave one.
        bias: Biases for both layers. The paper leaves them out for ResNets; published ImageNet
            weights of SE-ResNets often have them.

    Raises:
        ValueError: A reduction that leaves no channel.
    """

    def __init__(self, in_channels: int, reduction: int | None = None, bias: bool = False) -> None:
        super().__init__()
        hidden_channels = reduced_channels(in_channels, reduction, default=16)
        self.excite = channel_mlp(in_channels, hidden_channels, in_channels, bias)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        gate = torch.sigmoid(self.excite(x.mean(dim=(2, 3), keepdim=True)))
        return weigh(Gate('channels', gate, x))
