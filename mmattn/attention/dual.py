"""Position and channel attention (DANet, https://arxiv.org/abs/1809.02983)."""

import torch
from torch import Tensor, nn

from mmattn.attention.layers import dot_product_attention
from mmattn.ops.modules import Scale


class PositionAttention(nn.Module):
    """Position attention module, equations 1 and 2 of the paper.

    ``y = gamma * softmax(q^T k) v + x`` over all H * W positions; the scores are not scaled. gamma
    starts at 0, so the module starts as the identity.

    Cost: 2 * B * (H * W)**2 * (channels + in_channels) multiply-adds; the (H * W)**2 scores are
    stored only where no fused kernel serves.

    Args:
        in_channels: Channels of the input.
        channels: Channels of query and key; default in_channels // 8, as in the paper.

    Raises:
        ValueError: ``channels`` is below 1.
    """

    def __init__(self, in_channels: int, channels: int | None = None) -> None:
        super().__init__()
        channels = in_channels // 8 if channels is None else channels
        if channels < 1:
            raise ValueError(
                f'channels must be at least 1, got {channels} for in_channels={in_channels}; '
                'the default in_channels // 8 needs 8 channels or more'
            )
        self.query_project = nn.Conv2d(in_channels, channels, 1)
        self.key_project = nn.Conv2d(in_channels, channels, 1)
        self.value_project = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        query, key, value = self.query_project(x), self.key_project(x), self.value_project(x)
        return x + self.gamma(dot_product_attention(query, key, value, scale=1.0))


class ChannelAttention(nn.Module):
    """Channel attention module, equations 3 and 4 of the paper.

    ``y = gamma * softmax(-x x^T) x + x``: channels attend to the channels that they resemble least,
    since the authors' code takes the softmax of (row maximum - energy). gamma starts at 0.

    Cost: 2 * B * C**2 * H * W multiply-adds, C**2 scores. The energies are sums over H * W products
    and leave the range of fp16, so they are taken in fp32 at least, under autocast too.

    Args:
        in_channels: Channels of the input, which no layer depends on.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.gamma = Scale()

    def extra_repr(self) -> str:
        return f'in_channels={self.in_channels}'

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        features = x.flatten(2)
        with torch.autocast(x.device.type, enabled=False):
            wide = features.to(torch.promote_types(x.dtype, torch.float32))
            energy = torch.matmul(wide, wide.transpose(1, 2))
        # softmax(max - energy) is softmax(-energy): a shift of a row cancels.
        attention = (-energy).softmax(dim=-1).to(x.dtype)
        out = torch.matmul(attention, features).unflatten(2, x.shape[2:])
        return x + self.gamma(out)
