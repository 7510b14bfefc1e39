"""Selective kernel convolution (SKNet, https://arxiv.org/abs/1903.06586)."""

from collections.abc import Sequence

from torch import Tensor, nn

from mmattn.attention.layers import (
    BN,
    RELU,
    ConvNormAct,
    LayerCfg,
    dividing_groups,
    reduced_channels,
    require_positive,
)
from mmattn.attention.weighing import Selection, Weigh, compute


class SKConv(nn.Module):
    """Selective kernel convolution, equations 1 to 6 of the paper: split, fuse, select.

    ``y = sum_m a_m * u_m`` over the branches ``u_m = relu(bn(conv_m(x)))``, which differ in their
    receptive field; ``a = softmax(A relu(bn(W mean(sum_m u_m))))`` weighs them for each image and
    channel.

    It stands in the place of a 3x3 convolution with its norm and activation. The norm after
    W has a map of one pixel an image, and trains with any number of images (see `NormSequential`).

    Cost: the multiply-adds of its branches; in training all their outputs are kept.

    Args:
        in_channels: Channels of input and output; a multiple of ``groups``.
        kernel_sizes: One odd number for each branch, two branches or more.
        dilations: One for each branch; the paper's 5x5 branch is a 3x3 kernel of dilation 2.
        groups: Of the convolutions of the branches; default the largest power of two up to 32 that
            divides in_channels.
        reduction: Ratio of the channels to those of W, where that leaves ``min_channels``;
            default 16.
        min_channels: Least number of channels of W.
        stride: Of the convolutions of the branches.
        dilation: Factor on all ``dilations``, for backbones with dilated stages.
        norm_cfg: Normalisation of the branches and after W, as in mmcv.
        act_cfg: Activation of the branches and after W, as in mmcv.

    Raises:
        ValueError: Branches of different number, fewer than two or with even kernels, channels that
            the groups do not divide, a reduction beyond the channels, or another number below 1.
    """

    def __init__(
        self,
        in_channels: int,
        kernel_sizes: Sequence[int] = (3, 3),
        dilations: Sequence[int] = (1, 2),
        groups: int | None = None,
        reduction: int | None = None,
        min_channels: int = 32,
        stride: int = 1,
        dilation: int = 1,
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        if len(kernel_sizes) != len(dilations) or len(kernel_sizes) < 2:
            raise ValueError(
                'kernel_sizes and dilations must have one number for each of two branches or more, '
                f'got {kernel_sizes} and {dilations}'
            )
        if any(size < 1 or size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f'kernel_sizes must be odd and positive, got {kernel_sizes}')
        if min(dilations) < 1:
            raise ValueError(f'dilations must be at least 1, got {dilations}')
        require_positive(min_channels=min_channels, stride=stride, dilation=dilation)
        groups = dividing_groups(groups, in_channels, most=32)
        hidden_channels = max(reduced_channels(in_channels, reduction, default=16), min_channels)
        self.branches = nn.ModuleList(
            ConvNormAct(
                in_channels,
                in_channels,
                size,
                norm_cfg,
                act_cfg,
                stride=stride,
                dilation=dilation * own,
                groups=groups,
            )
            for size, own in zip(kernel_sizes, dilations, strict=True)
        )
        self.squeeze = ConvNormAct(in_channels, hidden_channels, 1, norm_cfg, act_cfg)
        self.select = nn.Conv2d(hidden_channels, len(kernel_sizes) * in_channels, 1)
        for conv in (self.squeeze.conv, self.select):
            nn.init.normal_(conv.weight, std=0.01)
        nn.init.zeros_(self.select.bias)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H / stride, W / stride), rounded up."""
        maps = [branch(x) for branch in self.branches]
        pooled = sum(u.mean(dim=(2, 3), keepdim=True) for u in maps)
        logits = self.select(self.squeeze(pooled)).unflatten(1, (len(maps), -1))
        weights = logits.softmax(dim=1).to(maps[0].dtype).unbind(1)
        return weigh(Selection('branches', weights, tuple(maps)))
