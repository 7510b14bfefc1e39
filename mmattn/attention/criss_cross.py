"""Recurrent criss-cross attention (CCNet, https://arxiv.org/abs/1811.11721)."""

from torch import Tensor, nn

from mmattn.attention.layers import Scale, default_channels, require_positive
from mmattn.ops import criss_cross_attention


class CrissCross(nn.Module):
    """Criss-cross attention, ``recurrence`` steps with shared weights (sections 3.2 and 3.3).

    Each step is ``x <- gamma * attention(q(x), k(x), v(x)) + x`` over the column and row of a
    pixel; two steps connect every pair of pixels. gamma starts at 0: the module starts as the
    identity. With one step it takes the place of ``mmcv.ops.CrissCrossAttention``: same argument,
    same parameter names, same numbers.

    Cost: B * H * W * (H + W) scores for each step.

    Args:
        in_channels: Channels of the input; query and key have in_channels // 8, at least one.
        recurrence: Number of steps.

    Raises:
        ValueError: A recurrence below 1.
    """

    def __init__(self, in_channels: int, recurrence: int = 1) -> None:
        super().__init__()
        require_positive(recurrence=recurrence)
        channels = default_channels(None, in_channels, divisor=8)
        self.recurrence = recurrence
        self.query_conv = nn.Conv2d(in_channels, channels, 1)
        self.key_conv = nn.Conv2d(in_channels, channels, 1)
        self.value_conv = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        for _ in range(self.recurrence):
            query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
            x = self.gamma(criss_cross_attention(query, key, value)) + x
        return x
