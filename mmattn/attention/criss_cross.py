"""Recurrent criss-cross attention (CCNet, https://arxiv.org/abs/1811.11721)."""

from torch import Tensor

from mmattn.ops import CrissCrossAttention


class CrissCross(CrissCrossAttention):
    """Criss-cross attention, ``recurrence`` steps with shared weights (section 3.2, 3.3).

    Each step is ``x <- gamma * attention(q(x), k(x), v(x)) + x`` over the column and row of a
    pixel; two steps connect every pair of pixels. gamma starts at 0: the module starts as the
    identity.

    Cost: B * H * W * (H + W) scores for each step.

    Args:
        in_channels: Channels of the input, 8 or more (query and key have in_channels // 8).
        recurrence: Number of steps.

    Raises:
        ValueError: Too few channels, or a recurrence below 1.
    """

    def __init__(self, in_channels: int, recurrence: int = 1) -> None:
        super().__init__(in_channels)
        if recurrence < 1:
            raise ValueError(f'recurrence must be at least 1, got {recurrence}')
        self.recurrence = recurrence

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        for _ in range(self.recurrence):
            x = super().forward(x)
        return x
