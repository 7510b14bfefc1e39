"""Convolutional block attention module (CBAM, https://arxiv.org/abs/1807.06521)."""

import torch
from torch import Tensor, nn

from mmattn.attention.layers import BN, ConvNormAct, LayerCfg, channel_mlp, reduced_channels
from mmattn.attention.norms import BATCH_NORMS
from mmattn.attention.weighing import Gate, Weigh, compute

# Of the authors' code.
_MOMENTUM = 0.01


class CBAM(nn.Module):
    """Channel gate, then spatial gate: equations 1 to 3 of the paper.

    ``z = x * sigmoid(mlp(avg(x)) + mlp(max(x)))`` over positions, then
    ``y = z * sigmoid(norm(conv([max(z), avg(z)])))`` over channels. The equations leave out the
    normalisation, the authors' code has it; its weight starts at 0 as there, so that the spatial
    gate starts at 1/2 everywhere.

    Cost: 4 * B * C**2 / reduction + 2 * kernel_size**2 * B * H * W multiply-adds.

    Args:
        in_channels: Channels of the input.
        reduction: The MLP has in_channels // reduction hidden channels; default 16, where
            fewer than 16 channels leave one.
        kernel_size: Of the spatial convolution, odd.
        norm_cfg: Normalisation of the spatial gate; None leaves it out. A batch norm whose config
            does not state a momentum has that of the authors' code, 0.01.

    Raises:
        ValueError: A reduction that leaves no channel, an even kernel_size.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int | None = None,
        kernel_size: int = 7,
        norm_cfg: LayerCfg = BN,
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f'kernel_size must be odd and positive, got {kernel_size}')
        hidden = reduced_channels(in_channels, reduction, default=16)
        self.channel_mlp = channel_mlp(in_channels, hidden, in_channels, bias=True)
        for layer in self.channel_mlp[::2]:
            nn.init.zeros_(layer.bias)
        if isinstance(norm_cfg, dict) and norm_cfg.get('type') in BATCH_NORMS:
            norm_cfg = {'momentum': _MOMENTUM, **norm_cfg}
        self.spatial_conv = ConvNormAct(2, 1, kernel_size, norm_cfg)
        for norm in list(self.spatial_conv)[1:]:
            if norm.affine:
                nn.init.zeros_(norm.weight)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        mean, peak = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        gate = torch.sigmoid(self.channel_mlp(mean) + self.channel_mlp(peak))
        x = weigh(Gate('channels', gate, x))
        pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        return weigh(Gate('positions', torch.sigmoid(self.spatial_conv(pooled)), x))
