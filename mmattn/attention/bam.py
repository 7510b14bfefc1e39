"""Bottleneck attention module (BAM, https://arxiv.org/abs/1807.06514)."""

import torch
from torch import Tensor, nn

from mmattn.attention.layers import (
    BN,
    RELU,
    ConvNormAct,
    LayerCfg,
    reduced_channels,
    require_positive,
)
from mmattn.attention.weighing import Gate, Weigh, compute

_FUSIONS = {'sum': torch.add, 'product': torch.mul}


class BAM(nn.Module):
    """Parallel channel and dilated spatial branch: equations 1 and 2 of the paper.

    ``y = x * (1 + sigmoid(Mc(x) + Ms(x)))``; Mc is an MLP on the mean over positions, Ms a
    bottleneck with dilated 3x3 convolutions and one output channel. The hidden layers are
    normalised and the last ones are not, as in the authors' code; the paper's equations 3 and 4
    write one normalisation at the end of each branch.

    Cost: about B * H * W * (C**2 / r + 9 * spatial_layers * (C / r)**2) multiply-adds, r being the
    reduction. The channel branch trains with any number of images (see `NormSequential`).

    Args:
        in_channels: Channels of the input.
        reduction: Both branches have in_channels // reduction hidden channels; default 16,
            where fewer than 16 channels leave one.
        dilation: Of the 3x3 convolutions.
        fusion: 'sum' of the branches (the paper), or their 'product' (the authors' released code
            and weights).
        channel_layers: Hidden layers of the channel branch.
        spatial_layers: 3x3 convolutions of the spatial branch.
        norm_cfg: Normalisation of the hidden layers.

    Raises:
        ValueError: A reduction that leaves no channel, an unknown fusion, a dilation or number of
            layers below 1.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int | None = None,
        dilation: int = 4,
        fusion: str = 'sum',
        channel_layers: int = 1,
        spatial_layers: int = 2,
        norm_cfg: LayerCfg = BN,
    ) -> None:
        super().__init__()
        if fusion not in _FUSIONS:
            raise ValueError(f'fusion must be one of {tuple(_FUSIONS)}, got {fusion!r}')
        require_positive(
            dilation=dilation, channel_layers=channel_layers, spatial_layers=spatial_layers
        )
        hidden = reduced_channels(in_channels, reduction, default=16)
        self.fusion = fusion
        self.channel_branch = nn.Sequential(
            ConvNormAct(in_channels, hidden, 1, norm_cfg, RELU),
            *(ConvNormAct(hidden, hidden, 1, norm_cfg, RELU) for _ in range(channel_layers - 1)),
            nn.Conv2d(hidden, in_channels, 1),
        )
        nn.init.zeros_(self.channel_branch[-1].bias)
        self.spatial_branch = nn.Sequential(
            ConvNormAct(in_channels, hidden, 1, norm_cfg, RELU),
            *(
                ConvNormAct(hidden, hidden, 3, norm_cfg, RELU, dilation=dilation)
                for _ in range(spatial_layers)
            ),
            ConvNormAct(hidden, 1),
        )

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        channel = self.channel_branch(x.mean(dim=(2, 3), keepdim=True))
        spatial = self.spatial_branch(x)
        gate = 1 + torch.sigmoid(_FUSIONS[self.fusion](channel, spatial))
        return weigh(Gate('values', gate, x))
