"""What attentional feature fusion is compared with (section 4 of https://arxiv.org/abs/2009.14082),
and the place of a fusion inside a layer.

Fusions stand where `AFF` does: ``fusion`` of our ResNets, of `AFFFPN` and of `InceptionConv`.
"""

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmattn.attention.layers import BN, RELU, ConvNormAct, LayerCfg, reduced_channels
from mmattn.models.mechanisms import build_mechanism


@MODELS.register_module()
class AddFusion(nn.Module):
    """``x + y``.

    Args:
        in_channels: Channels of both maps, which nothing depends on.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, H, W) twice -> (B, C, H, W)."""
        return x + y


@MODELS.register_module()
class ConcatFusion(nn.Module):
    """``norm(W [x, y])``, W a 1x1 convolution.

    Args:
        in_channels: Channels of both maps and of the output.
        norm_cfg: Normalisation, as in mmcv.
    """

    def __init__(self, in_channels: int, norm_cfg: LayerCfg = BN) -> None:
        super().__init__()
        self.project = ConvNormAct(2 * in_channels, in_channels, 1, norm_cfg)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, H, W) twice -> (B, C, H, W)."""
        return self.project(torch.cat([x, y], dim=1))


@MODELS.register_module()
class SelectiveFusion(nn.Module):
    """The soft selection of selective kernels (https://arxiv.org/abs/1903.06586, equations 3 to 6):
    ``a * x + b * y`` with ``[a, b] = softmax(A relu(norm(W mean(x + y))))`` for image and channel.

    Args:
        in_channels: Channels of both maps.
        reduction: Divides the channels of W.
        norm_cfg: Normalisation after W, as in mmcv.

    Raises:
        ValueError: A reduction out of range.
    """

    def __init__(self, in_channels: int, reduction: int = 4, norm_cfg: LayerCfg = BN) -> None:
        super().__init__()
        channels = reduced_channels(in_channels, reduction)
        self.squeeze = ConvNormAct(in_channels, channels, 1, norm_cfg, RELU)
        self.select = nn.Conv2d(channels, 2 * in_channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, H, W) twice -> (B, C, H, W)."""
        logits = self.select(self.squeeze((x + y).mean(dim=(2, 3), keepdim=True)))
        first, second = logits.unflatten(1, (2, -1)).softmax(dim=1).to(x.dtype).unbind(1)
        return x * first + y * second


@MODELS.register_module()
class InceptionConv(nn.Module):
    """A 3x3 and a 5x5 convolution side by side, joined by a fusion: the paper's "same layer".

    It stands in the place of a 3x3 convolution, as ``conv2`` of our ResNets.

    Args:
        in_channels: Channels of input and output.
        fusion: Config of what joins the branches, ``dict(type='AFF')``.
        stride, dilation: Of both convolutions.
        norm_cfg: Normalisation of the branches, and of a fusion that does not name its own.
        act_cfg: Activation of the branches.
    """

    def __init__(
        self,
        in_channels: int,
        fusion: dict,
        stride: int = 1,
        dilation: int = 1,
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        self.small, self.large = (
            ConvNormAct(
                in_channels,
                in_channels,
                kernel_size,
                norm_cfg,
                act_cfg,
                stride=stride,
                dilation=dilation,
            )
            for kernel_size in (3, 5)
        )
        self.fusion = build_mechanism('fusion', fusion, norm_cfg, in_channels=in_channels)[1]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H / stride, W / stride), rounded up."""
        return self.fusion(self.small(x), self.large(x))
