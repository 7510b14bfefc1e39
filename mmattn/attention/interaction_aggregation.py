"""Interaction-aggregation-update (IAU, https://arxiv.org/abs/2009.01035): channels and parts."""

from functools import partial

import torch
from torch import Tensor, nn

from mmattn.attention.attending import ChannelMixing, Layout, Mixing, pixels
from mmattn.attention.functional import in_float32
from mmattn.attention.layers import (
    BN,
    RELU,
    ConvNormAct,
    LayerCfg,
    reduced_channels,
    require_positive,
    start_at_zero,
)
from mmattn.attention.placing import register_constant
from mmattn.attention.weighing import Weigh, compute


class CIAU(nn.Module):
    """Channel interaction-aggregation-update.

    ``y = x + norm(conv(softmax(X X^T) X))``, X being the T * C channels of a clip as rows: channels
    attend to the channels that resemble them. The norm's scale starts at 0, so the module starts as
    the identity. (The channel half of the earlier IANet block is this without the convolution.)

    Cost: for an image 2 * T * C**2 * H * W multiply-adds, C**2 * H * W more for the convolution,
    and T * C**2 scores. The scores are sums over H * W products and leave the range of fp16, so
    they are taken in fp32 at least.

    Args:
        in_channels: Channels of the input.
        num_frames: Frames T of a clip; 1 for images.
        norm_cfg: Normalisation after the convolution.

    Raises:
        ValueError: ``num_frames`` below 1, or (at run time) a batch that is not made of clips.
    """

    def __init__(self, in_channels: int, num_frames: int = 1, norm_cfg: LayerCfg = BN) -> None:
        super().__init__()
        require_positive(num_frames=num_frames)
        self.num_frames = num_frames
        self.update = ConvNormAct(in_channels, in_channels, 1, norm_cfg)
        start_at_zero(self.update)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B * T, C, H, W), the frames of a clip in a row -> (B * T, C, H, W)."""
        features = _clips(x, self.num_frames).flatten(3).flatten(1, 2)
        attention = in_float32(_affinity, features)
        context = weigh(ChannelMixing('channels', attention, features, x.shape[2:]))
        return x + self.update(context.reshape(x.shape))


class SIAU(nn.Module):
    """Spatial (T = 1) or spatial-temporal interaction-aggregation-update.

    Parts p are sums of the pixels weighted by K sigmoid maps, reduced to C / 2 channels. Each
    attends to its neighbours (the other parts of its frame, the same part in other frames) with
    ``e_ij = softmax_j(norm(w^T |p_i - p_j|))`` and becomes ``relu(norm(W [p_i, sum_j e_ij p_j]))``;
    ``x + norm(V [mean of the frame's parts, mean of the clip's pixels])`` is the output. The last
    norm's scale starts at 0, so the module starts as the identity.

    The authors also feed the clip's mean into the edges; it is the same for all neighbours and
    cancels in their softmax, so it is left out. The earlier IANet block, which relates all pixels
    of maps of one fixed size, is not offered.

    Cost: O(B * H * W * C * K) and a graph of T * K nodes. The graph is computed in fp32 under
    autocast, since the parts are sums over all pixels.

    Args:
        in_channels: Channels of the input, 2 or more.
        num_parts: Parts K of a frame.
        num_frames: Frames T of a clip; 1 for images.
        norm_cfg: Normalisation of all convolutions. The last one has a value for each image: a
            batch norm of few images does not fit others, ``dict(type='GN', num_groups=1)`` does.

    Raises:
        ValueError: Too few channels, parts or frames, or (at run time) a batch that is not made of
            clips.
    """

    def __init__(
        self,
        in_channels: int,
        num_parts: int = 4,
        num_frames: int = 1,
        norm_cfg: LayerCfg = BN,
    ) -> None:
        super().__init__()
        if num_parts < 2:
            raise ValueError(f'num_parts must be at least 2, got {num_parts}')
        channels = reduced_channels(in_channels, 2)
        require_positive(num_frames=num_frames)
        self.num_parts = num_parts
        self.num_frames = num_frames
        self.part_project = ConvNormAct(in_channels, num_parts, 1, norm_cfg)
        self.reduce = nn.Conv2d(in_channels, channels, 1)
        nn.init.kaiming_normal_(self.reduce.weight, mode='fan_out', nonlinearity='relu')
        self.edge = ConvNormAct(channels, 1, 1, norm_cfg)
        self.aggregate = ConvNormAct(2 * channels, channels, 1, norm_cfg, RELU)
        self.update = ConvNormAct(2 * channels, in_channels, 1, norm_cfg)
        start_at_zero(self.update)
        register_constant(self, 'strangers', partial(_strangers, num_frames, num_parts))

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B * T, C, H, W), the frames of a clip in a row -> (B * T, C, H, W)."""
        maps = self.part_maps(x)
        update = partial(self._update, weigh=weigh, image=pixels(x.shape[2:]))
        return x + in_float32(update, x.flatten(2), maps.flatten(2))

    def part_maps(self, x: Tensor) -> Tensor:
        """Where the parts are: (B, C, H, W) -> (B, num_parts, H, W) in (0, 1)."""
        return self.part_project(x).sigmoid()

    def _update(self, features: Tensor, maps: Tensor, weigh: Weigh, image: Layout) -> Tensor:
        """(B * T, C, N), (B * T, K, N) -> (B * T, C, 1, 1)."""
        # In this order, since the maps' gradient is then contiguous: for one image and a
        # transposed gradient torch 2.13's batch norm gives a wrong one on the CPU.
        each = Layout('parts', (maps.shape[1],))
        parts = weigh(Mixing('parts', maps, features.transpose(1, 2), each, image, False))
        return self._interact(
            _clips(parts, self.num_frames).flatten(1, 2).transpose(1, 2),
            _clips(features.mean(dim=2), self.num_frames).mean(dim=1),
            weigh,
        )

    def _interact(self, parts: Tensor, context: Tensor, weigh: Weigh) -> Tensor:
        """(B, C, T * K) parts, (B, C) means of the clips -> (B * T, C, 1, 1)."""
        nodes = torch.cat([parts, context.unsqueeze(2)], dim=2).unsqueeze(3)
        nodes = self.reduce(nodes.to(self.reduce.weight.dtype))
        parts, context = nodes.split([parts.shape[2], 1], dim=2)
        edges = self.edge((parts - parts.transpose(2, 3)).abs()).squeeze(1)
        edges = edges.masked_fill(self.strangers, float('-inf')).softmax(dim=2)
        each = Layout('parts', (edges.shape[2],))
        messages = weigh(Mixing('edges', edges, parts.squeeze(3).transpose(1, 2), each, each))
        messages = messages.transpose(1, 2).unsqueeze(3)
        parts = self.aggregate(torch.cat([parts, messages], dim=1))
        frames = parts.unflatten(2, (self.num_frames, self.num_parts)).mean(dim=3)
        update = self.update(torch.cat([frames, context.expand_as(frames)], dim=1))
        return update.transpose(1, 2).flatten(0, 1).unsqueeze(3)


def _strangers(num_frames: int, num_parts: int) -> Tensor:
    """Parts that do not interact, (T * K, T * K): neighbours share frame or part, not both."""
    frame = torch.arange(num_frames).repeat_interleave(num_parts)
    part = torch.arange(num_parts).repeat(num_frames)
    return (frame[:, None] == frame) == (part[:, None] == part)


def _affinity(features: Tensor) -> Tensor:
    """(B, C, N) -> (B, C, C), each row summing to 1."""
    return torch.matmul(features, features.transpose(1, 2)).softmax(dim=-1)


def _clips(x: Tensor, num_frames: int) -> Tensor:
    """(B * T, ...) -> (B, T, ...)."""
    if x.shape[0] % num_frames:
        raise ValueError(
            f'a batch of {x.shape[0]} images is not made of clips of num_frames={num_frames}'
        )
    return x.unflatten(0, (-1, num_frames))
