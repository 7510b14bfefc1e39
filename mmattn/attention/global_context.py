"""Global context block (GCNet, https://arxiv.org/abs/1904.11492)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.attending import IMAGE, Pooling, pixels
from mmattn.attention.weighing import Gate, Weigh, compute

_POOLING_TYPES = ('att', 'avg')
_FUSION_TYPES = ('channel_add', 'channel_mul')


class GlobalContext(nn.Module):
    """Global context block, equation 5 of the paper.

    ``y = x * sigmoid(t_mul(c)) + t_add(c)``, c being one vector of C channels pooled over the image
    and t the bottleneck conv - layer norm - ReLU - conv. The last convolutions start at 0: with
    'channel_add' alone the block starts as the identity.

    Cost: O(B * C * H * W); no map between pixels.

    Args:
        in_channels: Channels of the input.
        ratio: Width of the bottleneck as a part of in_channels.
        pooling_type: 'att' (softmax-weighted mean, learnt) or 'avg'.
        fusion_types: One or both of 'channel_add' and 'channel_mul'.

    Raises:
        ValueError: Unknown type, or a ratio that leaves no channel.
    """

    def __init__(
        self,
        in_channels: int,
        ratio: float = 1 / 4,
        pooling_type: str = 'att',
        fusion_types: Sequence[str] = ('channel_add',),
    ) -> None:
        super().__init__()
        if pooling_type not in _POOLING_TYPES:
            raise ValueError(f'pooling_type must be one of {_POOLING_TYPES}, got {pooling_type!r}')
        if (
            isinstance(fusion_types, str)
            or not fusion_types
            or set(fusion_types) - {*_FUSION_TYPES}
        ):
            raise ValueError(
                f'fusion_types must be a sequence of one or more of {_FUSION_TYPES}, '
                f'got {fusion_types!r}'
            )
        channels = int(in_channels * ratio)
        if channels < 1:
            raise ValueError(f'ratio={ratio} leaves no channel of in_channels={in_channels}')
        self.conv_mask = nn.Conv2d(in_channels, 1, 1) if pooling_type == 'att' else None
        self.channel_add_conv, self.channel_mul_conv = (
            _transform(in_channels, channels) if fusion in fusion_types else None
            for fusion in _FUSION_TYPES
        )
        if self.conv_mask is not None:
            nn.init.kaiming_normal_(self.conv_mask.weight, nonlinearity='relu')
            nn.init.zeros_(self.conv_mask.bias)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        context = self._pool(x, weigh)
        out = x
        if self.channel_mul_conv is not None:
            out = weigh(Gate('channels', torch.sigmoid(self.channel_mul_conv(context)), out))
        if self.channel_add_conv is not None:
            out = out + self.channel_add_conv(context)
        return out

    def _pool(self, x: Tensor, weigh: Weigh) -> Tensor:
        if self.conv_mask is None:
            return F.adaptive_avg_pool2d(x, 1)
        weights = self.conv_mask(x).flatten(2).softmax(dim=2).to(x.dtype)
        pooling = Pooling('context', weights, x.flatten(2), IMAGE, pixels(x.shape[2:]))
        return weigh(pooling).unsqueeze(3)


def _transform(in_channels: int, channels: int) -> nn.Sequential:
    layers = nn.Sequential(
        nn.Conv2d(in_channels, channels, 1),
        nn.LayerNorm([channels, 1, 1]),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, in_channels, 1),
    )
    nn.init.zeros_(layers[-1].weight)
    nn.init.zeros_(layers[-1].bias)
    return layers
