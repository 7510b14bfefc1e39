"""Asymmetric non-local blocks (ANN, https://arxiv.org/abs/1908.07678)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.attending import DotProduct, Layout
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


class AsymmetricNonLocal(nn.Module):
    """Non-local attention whose keys and values are pooled to a small pyramid (section 3.2).

    ``W(softmax(q^T P(k) / sqrt(channels)) P(v))``, P being average pooling to the given grids; the
    default (1, 3, 6, 8) leaves 110 keys whatever the image size. W starts at 0.

    Cost: H * W * 110 scores instead of (H * W)**2.

    Args:
        low_in_channels: Channels of the feature map that keys and values come from.
        high_in_channels: Channels of the feature map that queries come from.
        channels: Channels of query and key.
        out_channels: Channels of the output.
        value_channels: Channels of the values; default ``channels``.
        share_key_query: One projection for key and query (needs equal input channels).
        query_scale: Max-pooling of the queries' map by this factor; the result is resized back
            bilinearly (align_corners=True).
        key_pool_scales: Sizes of the pooling grids.
        norm_cfg: Normalisation of the key and query projections.
        act_cfg: Activation of the key and query projections.

    Raises:
        ValueError: Fewer than one channel, a query scale below 1, no grid or one below 1.
    """

    def __init__(
        self,
        low_in_channels: int,
        high_in_channels: int,
        channels: int,
        out_channels: int,
        value_channels: int | None = None,
        share_key_query: bool = False,
        query_scale: int = 1,
        key_pool_scales: Sequence[int] = (1, 3, 6, 8),
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        value_channels = channels if value_channels is None else value_channels
        require_positive(
            channels=channels,
            out_channels=out_channels,
            value_channels=value_channels,
            query_scale=query_scale,
        )
        if not key_pool_scales or min(key_pool_scales) < 1:
            raise ValueError(
                f'key_pool_scales must be one or more sizes of at least 1, got {key_pool_scales!r}'
            )
        self.channels = channels
        self.query_scale = query_scale
        self.key_pool_scales = tuple(key_pool_scales)
        self.key_project = ConvNormAct(low_in_channels, channels, 1, norm_cfg, act_cfg)
        self.query_project = (
            self.key_project
            if share_key_query
            else ConvNormAct(high_in_channels, channels, 1, norm_cfg, act_cfg)
        )
        self.value_project = nn.Conv2d(low_in_channels, value_channels, 1)
        self.out_project = nn.Conv2d(value_channels, out_channels, 1)
        nn.init.zeros_(self.out_project.weight)
        nn.init.zeros_(self.out_project.bias)

    def forward(self, low_feats: Tensor, high_feats: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C_low, H, W), (B, C_high, H', W') -> (B, out_channels, H', W')."""

        def attend(feats: Tensor) -> Tensor:
            context = weigh(
                Anchors(
                    self.query_project(feats),
                    self.key_project(low_feats),
                    self.value_project(low_feats),
                    self.channels**-0.5,
                    self.key_pool_scales,
                )
            )
            return self.out_project(context)

        return with_pooled_queries(attend, high_feats, self.query_scale)


class Anchors(DotProduct):
    """Attention to the averages of keys and values over the cells of several grids.

    Args:
        query: (B, Cq, H', W').
        key: (B, Cq, H, W), not pooled yet.
        value: (B, C, H, W), likewise.
        scale: Factor on the scores.
        grids: Sizes of the grids.
    """

    def __init__(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, grids: Sequence[int]
    ) -> None:
        keys = Layout('anchors', (sum(size**2 for size in grids),))
        self.grids, self.size = grids, key.shape[2:]
        super().__init__('anchors', query, self._pool(key), self._pool(value), scale, keys)

    def on_pixels(self, weights: Tensor) -> Tensor:
        """An anchor is a mean over pixels: its weight is spread evenly over them."""
        with torch.inference_mode(False), torch.enable_grad():
            pixels = torch.zeros(1, weights[..., 0].numel(), *self.size, device=weights.device)
            anchors = self._pool(pixels.requires_grad_())
            spread = weights.detach().float().reshape(anchors.shape)
            (maps,) = torch.autograd.grad(anchors, pixels, spread)
        return maps.reshape(*weights.shape[:-1], *self.size)

    def _pool(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, sum of the squared pooling sizes)."""
        return torch.cat([F.adaptive_avg_pool2d(x, size).flatten(2) for size in self.grids], dim=2)


class AFNB(nn.Module):
    """Asymmetric fusion non-local block: high-level queries on low-level keys and values.

    ``bottleneck([sum of the stages, high])``, one stage for each query scale (section 3.3).

    Cost: 110 * H * W scores for each stage, and H * W * out_channels * (out_channels +
    high_in_channels) multiply-adds of the bottleneck.

    Args:
        low_in_channels: Channels of the low-level map.
        high_in_channels: Channels of the high-level map; default low_in_channels.
        channels: Channels of query and key; default high_in_channels // 2, at least one.
        out_channels: Channels of the output; default high_in_channels.
        value_channels: Channels of the values; default ``channels``.
        query_scales: One stage for each entry.
        key_pool_scales: Sizes of the pooling grids.
        norm_cfg: Normalisation of the projections and of the bottleneck.
        act_cfg: Activation of the projections; the bottleneck has none.

    Raises:
        ValueError: No query scale, or what `AsymmetricNonLocal` refuses.
    """

    def __init__(
        self,
        low_in_channels: int,
        high_in_channels: int | None = None,
        channels: int | None = None,
        out_channels: int | None = None,
        value_channels: int | None = None,
        query_scales: Sequence[int] = (1,),
        key_pool_scales: Sequence[int] = (1, 3, 6, 8),
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        if not query_scales:
            raise ValueError(f'query_scales must be one or more numbers, got {query_scales!r}')
        high_in_channels = low_in_channels if high_in_channels is None else high_in_channels
        channels = default_channels(channels, high_in_channels, divisor=2)
        out_channels = high_in_channels if out_channels is None else out_channels
        self.stages = nn.ModuleList(
            AsymmetricNonLocal(
                low_in_channels,
                high_in_channels,
                channels,
                out_channels,
                value_channels=value_channels,
                query_scale=query_scale,
                key_pool_scales=key_pool_scales,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
            for query_scale in query_scales
        )
        self.bottleneck = ConvNormAct(out_channels + high_in_channels, out_channels, 1, norm_cfg)

    def forward(self, low_feats: Tensor, high_feats: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C_low, H, W), (B, C_high, H', W') -> (B, out_channels, H', W')."""
        context = sum(stage(low_feats, high_feats, weigh) for stage in self.stages)
        return self.bottleneck(torch.cat([context, high_feats], dim=1))


class APNB(nn.Module):
    """Asymmetric pyramid non-local block: self-attention with pooled keys and values.

    ``bottleneck([sum of the stages, x])``; key and query share their projection.

    Cost: 110 * H * W scores for each stage, and 2 * H * W * in_channels * out_channels
    multiply-adds of the bottleneck.

    Args:
        in_channels: Channels of the input.
        channels: Channels of query and key; default in_channels // 2 (at least one), as
            in the authors' code.
        out_channels: Channels of the output; default in_channels.
        value_channels: Channels of the values; default ``channels``.
        query_scales: One stage for each entry.
        key_pool_scales: Sizes of the pooling grids.
        norm_cfg: Normalisation of the projections and of the bottleneck.
        act_cfg: Activation of the projections and of the bottleneck.

    Raises:
        ValueError: ``channels`` is below 1, no query scale, or what `AsymmetricNonLocal` refuses.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int | None = None,
        out_channels: int | None = None,
        value_channels: int | None = None,
        query_scales: Sequence[int] = (1,),
        key_pool_scales: Sequence[int] = (1, 3, 6, 8),
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        channels = default_channels(channels, in_channels, divisor=2)
        out_channels = in_channels if out_channels is None else out_channels
        if not query_scales:
            raise ValueError(f'query_scales must be one or more numbers, got {query_scales!r}')
        self.stages = nn.ModuleList(
            AsymmetricNonLocal(
                in_channels,
                in_channels,
                channels,
                in_channels,
                value_channels=value_channels,
                share_key_query=True,
                query_scale=query_scale,
                key_pool_scales=key_pool_scales,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
            for query_scale in query_scales
        )
        self.bottleneck = ConvNormAct(2 * in_channels, out_channels, 1, norm_cfg, act_cfg)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        context = sum(stage(x, x, weigh) for stage in self.stages)
        return self.bottleneck(torch.cat([context, x], dim=1))
