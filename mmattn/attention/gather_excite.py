"""Gather-excite (GE-Net, https://arxiv.org/abs/1810.12348)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.layers import (
    BN,
    RELU,
    ConvNormAct,
    LayerCfg,
    channel_mlp,
    reduced_channels,
)
from mmattn.attention.norms import NormSequential, build_norm
from mmattn.attention.weighing import Gate, Weigh, compute

_PARAMETRISATIONS = ('theta_minus', 'theta', 'theta_plus')


class GatherExcite(nn.Module):
    """Gather-excite, sections 2 and 3 of the paper.

    ``y = x * sigmoid(excite(gather(x)))``, the gathered map brought back to H x W by its nearest
    neighbours. The three parametrisations are

    - 'theta_minus': gather is an average over windows of 2 * extent - 1 pixels; no parameters.
    - 'theta': gather is a chain of log2(extent) depthwise 3x3 convolutions of stride 2, or for the
      global extent one depthwise convolution as large as the map.
    - 'theta_plus': as 'theta', and excite is the bottleneck of squeeze-and-excitation.

    The global convolution belongs to maps of one ``size``: others are first brought to it by
    adaptive average pooling. Its norm has one value an image, and trains with any number of images
    (see `NormSequential`). (timm pads this convolution, so that each pixel is gated by another part
    of the map; the paper does not, and that form is not offered.)

    Cost: with an extent 9 * C multiply-adds for each pixel of what each strided convolution gives,
    which has half the rows and columns of its input, rounded up: 3 * C * H * W at most where
    nothing is rounded. Without one, C for each pixel of ``size``. 'theta_plus' has 2 * C**2 /
    reduction more for each gathered pixel, 'theta_minus' none.

    Args:
        in_channels: Channels of the input.
        extent: 2, 4, 8 or another power of two; None is the global extent.
        parametrisation: 'theta_minus', 'theta' or 'theta_plus'.
        reduction: Ratio of the channels to the hidden ones of 'theta_plus'; default 16, where
            fewer than 16 channels leave one.
        size: Height and width of the convolution that gathers globally; needed there only.
        norm_cfg: Normalisation after each convolution of gather, as in mmcv.

    Raises:
        ValueError: An extent that is no power of two, an unknown parametrisation, a size that is
            missing or below 1, or a reduction that leaves no channel.
    """

    def __init__(
        self,
        in_channels: int,
        extent: int | None = None,
        parametrisation: str = 'theta_minus',
        reduction: int | None = None,
        size: int | tuple[int, int] | None = None,
        norm_cfg: LayerCfg = BN,
    ) -> None:
        super().__init__()
        if extent is not None and (extent < 2 or extent & (extent - 1)):
            raise ValueError(f'extent must be None (global) or 2, 4, 8, ..., got {extent}')
        if parametrisation not in _PARAMETRISATIONS:
            raise ValueError(
                f'parametrisation must be one of {_PARAMETRISATIONS}, got {parametrisation!r}'
            )
        if parametrisation != 'theta_minus' and extent is None and size is None:
            raise ValueError(
                f'size (height and width of the map) is needed for {parametrisation!r} with the '
                'global extent'
            )
        if size is not None and min((size, size) if isinstance(size, int) else size) < 1:
            raise ValueError(f'size must be at least 1, got {size}')
        self.extent = extent
        if parametrisation == 'theta_minus':
            self.gather = _average(extent)
        elif extent is None:
            self.gather = _global_convolution(in_channels, size, norm_cfg)
        else:
            self.gather = _strided_convolutions(in_channels, extent, norm_cfg)
        self.excite = nn.Identity()
        if parametrisation == 'theta_plus':
            hidden_channels = reduced_channels(in_channels, reduction, default=16)
            self.excite = channel_mlp(in_channels, hidden_channels, in_channels, bias=True)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        gate = torch.sigmoid(self.excite(self.gather(x)))
        if self.extent is not None:
            gate = F.interpolate(gate, size=x.shape[2:])
        return weigh(Gate('channels' if self.extent is None else 'values', gate, x))


def _average(extent: int | None) -> nn.Module:
    if extent is None:
        return nn.AdaptiveAvgPool2d(1)
    return nn.AvgPool2d(2 * extent - 1, extent, padding=extent - 1, count_include_pad=False)


def _global_convolution(
    channels: int, size: int | tuple[int, int], norm_cfg: LayerCfg
) -> nn.Sequential:
    return NormSequential(
        nn.AdaptiveAvgPool2d(size),
        nn.Conv2d(channels, channels, size, groups=channels, bias=False),
        build_norm(norm_cfg, channels)[1],
    )


def _strided_convolutions(channels: int, extent: int, norm_cfg: LayerCfg) -> nn.Sequential:
    steps = extent.bit_length() - 1
    return nn.Sequential(
        *(
            ConvNormAct(
                channels,
                channels,
                3,
                norm_cfg,
                RELU if step < steps - 1 else None,
                stride=2,
                groups=channels,
            )
            for step in range(steps)
        )
    )
