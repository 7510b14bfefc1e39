"""Global attention mechanism (GAM, https://arxiv.org/abs/2112.05561)."""

import torch
from torch import Tensor, nn

from mmattn.attention.layers import BN, RELU, ConvNormAct, LayerCfg, channel_mlp, reduced_channels
from mmattn.attention.weighing import Gate, Weigh, compute

_KERNEL_SIZE = 7


class GAM(nn.Module):
    """Channel, then spatial gate, neither pools: equations 1 and 2 of the paper.

    ``z = x * sigmoid(mlp(x))``, the MLP acting on the channels of each position, then
    ``y = z * sigmoid(norm(conv7x7(relu(norm(conv7x7(z))))))``.

    Cost: 100 * C**2 / reduction weights, 26 million for 1,024 channels, each used at all positions.

    Args:
        in_channels: Channels of the input.
        reduction: MLP and convolutions have in_channels // reduction hidden channels.
        channel_sigmoid: Whether the MLP's output passes a sigmoid, as in the paper; the listings
            in circulation leave it out and multiply by the output itself.
        norm_cfg: Normalisation of the convolutions.

    Raises:
        ValueError: A reduction that leaves no channel.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 4,
        channel_sigmoid: bool = True,
        norm_cfg: LayerCfg = BN,
    ) -> None:
        super().__init__()
        self.channel_sigmoid = channel_sigmoid
        hidden = reduced_channels(in_channels, reduction)
        self.channel_mlp = channel_mlp(in_channels, hidden, in_channels, bias=True)
        self.spatial_convs = nn.Sequential(
            ConvNormAct(in_channels, hidden, _KERNEL_SIZE, norm_cfg, RELU),
            ConvNormAct(hidden, in_channels, _KERNEL_SIZE, norm_cfg),
        )

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        gate = self.channel_mlp(x)
        gate = torch.sigmoid(gate) if self.channel_sigmoid else gate
        x = weigh(Gate('channels of each position', gate, x))
        return weigh(Gate('positions of each channel', torch.sigmoid(self.spatial_convs(x)), x))
