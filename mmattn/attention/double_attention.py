"""Double attention (A2-Nets, https://arxiv.org/abs/1810.11579)."""

from torch import Tensor, nn

from mmattn.attention.attending import Layout, Pooling, pixels
from mmattn.attention.layers import default_channels
from mmattn.attention.weighing import Weigh, compute

# What the second softmax runs over: dimensions of (B, channels, positions).
_DISTRIBUTIONS = {'channels': 1, 'positions': 2}


class DoubleAttention(nn.Module):
    """Gather global descriptors by second-order pooling, then distribute them.

    ``y = x + W(G softmax(r(x)))``, ``G = f(x) softmax(g(x))^T``: each of the ``channels``
    descriptors in G is a mean of the features f(x) weighted by one softmax over positions.

    Cost: 2 * B * H * W * channels**2 multiply-adds besides the projections; no map between pixels.

    Args:
        in_channels: Channels of the input.
        channels: Number of descriptors and their width; default in_channels // 4, at
            least one.
        distribution: What the second softmax normalises over: 'channels' (the paper: each pixel
            mixes the descriptors with weights that sum to 1) or 'positions' (the re-implementations
            in wide use: each descriptor is spread over the image with weights that sum to 1; the
            context is then about H * W / channels times smaller). One of these also multiplies by
            G^T instead of G, which is not offered.

    Raises:
        ValueError: Fewer than one channel, or an unknown distribution.
    """

    def __init__(
        self, in_channels: int, channels: int | None = None, distribution: str = 'channels'
    ) -> None:
        super().__init__()
        channels = default_channels(channels, in_channels, divisor=4)
        if distribution not in _DISTRIBUTIONS:
            raise ValueError(
                f'distribution must be one of {tuple(_DISTRIBUTIONS)}, got {distribution!r}'
            )
        self.distribution = distribution
        self.feature_project = nn.Conv2d(in_channels, channels, 1)
        # A bias in front of a softmax over positions cancels.
        self.gather_project = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.distribute_project = nn.Conv2d(
            in_channels, channels, 1, bias=distribution != 'positions'
        )
        self.out_project = nn.Conv2d(channels, in_channels, 1)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        features = self.feature_project(x)
        gather = self.gather_project(x).flatten(2).softmax(dim=2).to(features.dtype)
        distribute = self.distribute_project(x).flatten(2)
        distribute = distribute.softmax(dim=_DISTRIBUTIONS[self.distribution]).to(features.dtype)
        image, each = pixels(x.shape[2:]), Layout('descriptors', (gather.shape[1],))
        descriptors = weigh(Pooling('gather', gather, features.flatten(2), each, image))
        sums_to_1 = self.distribution == 'channels'
        context = weigh(
            Pooling('distribute', distribute.transpose(1, 2), descriptors, image, each, sums_to_1)
        )
        return x + self.out_project(context.unflatten(2, x.shape[2:]))
