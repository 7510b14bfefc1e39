"""Object-contextual representations (OCR, https://arxiv.org/abs/1909.11065)."""

import torch
from torch import Tensor, nn

from mmattn.attention.attending import DotProduct, Layout, Pooling, pixels
from mmattn.attention.functional import with_pooled_queries
from mmattn.attention.layers import (
    BN,
    RELU,
    ConvNormAct,
    LayerCfg,
    default_channels,
    require_positive,
)
from mmattn.attention.weighing import Weigh, compute


class ObjectContext(nn.Module):
    """The whole of OCR as a plugin: soft regions, their representations, pixel-region attention.

    ``y = bottleneck([context(x, regions), x])``, the regions being the pixels of x gathered by a
    1x1 convolution's ``num_regions`` maps. In the paper these maps are a coarse segmentation with a
    loss of its own (the OCR head); a plugin sees no labels, so they learn from the main loss alone.

    Cost: B * H * W * num_regions scores.

    Args:
        in_channels: Channels of the input and of the output.
        num_regions: Number of soft regions; the paper's are the classes, 19 on Cityscapes.
        channels: Channels of query, key and value; default in_channels // 2, at least one.
        norm_cfg: Normalisation of all projections.
        act_cfg: Activation of all projections.

    Raises:
        ValueError: Fewer than one region or channel.
    """

    def __init__(
        self,
        in_channels: int,
        num_regions: int = 19,
        channels: int | None = None,
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        channels = default_channels(channels, in_channels, divisor=2)
        require_positive(num_regions=num_regions)
        # A bias in front of the softmax over positions cancels.
        self.region_project = nn.Conv2d(in_channels, num_regions, 1, bias=False)
        self.gather = SpatialGather()
        self.attention = ObjectAttention(in_channels, channels, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        regions = self.gather(x, self.region_project(x), weigh)
        return self.attention(x, regions, weigh)


class SpatialGather(nn.Module):
    """Object region representations, equation 4: the mean of the pixels weighted by a softmax over
    positions of the coarse class logits. No parameters.

    Cost: B * H * W * C * K multiply-adds for K classes.
    """

    def __init__(self) -> None:  # which takes device and dtype, as those of all mechanisms
        super().__init__()

    def forward(self, feats: Tensor, logits: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) features, (B, K, H, W) coarse logits -> (B, C, K, 1) regions."""
        weights = logits.flatten(2).softmax(dim=2).to(feats.dtype)
        regions, each = _regions(logits.shape[1]), pixels(feats.shape[2:])
        return weigh(Pooling('regions', weights, feats.flatten(2), regions, each)).unsqueeze(3)


class ObjectAttention(nn.Module):
    """Pixels attend to the object regions, equations 3 and 5, and are fused with them.

    ``bottleneck([out(softmax(q(x)^T k(r) / sqrt(channels)) v(r)), x])``.

    Cost: B * H * W * K scores for K regions.

    Args:
        in_channels: Channels of the pixel features and of the regions.
        channels: Channels of query, key and value.
        out_channels: Channels of the output; default in_channels.
        scale: Max-pooling of the pixel features before the queries; the context is resized back
            bilinearly (align_corners=True), as the authors do.
        norm_cfg: Normalisation of all projections.
        act_cfg: Activation of all projections.

    Raises:
        ValueError: Fewer than one channel, or a scale below 1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int | None = None,
        scale: int = 1,
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        out_channels = in_channels if out_channels is None else out_channels
        require_positive(channels=channels, out_channels=out_channels, scale=scale)
        self.channels = channels
        self.scale = scale

        def project(source: int, target: int) -> ConvNormAct:
            return ConvNormAct(source, target, 1, norm_cfg, act_cfg)

        self.query_project = nn.Sequential(
            project(in_channels, channels), project(channels, channels)
        )
        self.key_project = nn.Sequential(
            project(in_channels, channels), project(channels, channels)
        )
        self.value_project = project(in_channels, channels)
        self.out_project = project(channels, in_channels)
        self.bottleneck = project(2 * in_channels, out_channels)

    def forward(self, feats: Tensor, regions: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) features, (B, C, K, 1) regions -> (B, out_channels, H, W)."""
        context = self.attend(feats, regions, weigh)
        return self.bottleneck(torch.cat([context, feats], dim=1))

    def attend(self, feats: Tensor, regions: Tensor, weigh: Weigh = compute) -> Tensor:
        """The context alone: (B, C, H, W), (B, C, K, 1) -> (B, C, H, W)."""

        def attend(pooled: Tensor) -> Tensor:
            context = weigh(
                DotProduct(
                    'objects',
                    self.query_project(pooled),
                    self.key_project(regions),
                    self.value_project(regions),
                    scale=self.channels**-0.5,
                    keys=_regions(regions.shape[2]),
                )
            )
            return self.out_project(context)

        return with_pooled_queries(attend, feats, self.scale)


def _regions(count: int) -> Layout:
    return Layout('regions', (count,))
