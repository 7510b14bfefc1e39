"""Attention on the feature maps of a backbone."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmattn.errors import UserError
from mmattn.models.mechanisms import build_mechanism


@MODELS.register_module()
class AttentionNeck(BaseModule):
    """One registered attention mechanism on each level; every level keeps its shape.

    Args:
        in_channels: Channels of each level.
        attention: Config of the mechanism without in_channels, ``dict(type='SE')``; or a list with
            one config for each level, None where a level passes unchanged (as it should where no
            head reads it: distributed training refuses parameters without a gradient).
        norm_cfg: Normalisation of mechanisms whose config does not name one; None leaves them their
            defaults.

    Raises:
        UserError: A list that does not have one entry for each level, or a mechanism that is
            unknown, joins two maps, or refuses its arguments; a forward pass with another number of
            maps than levels.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        attention: dict | Sequence[dict | None],
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        levels = [attention] * len(in_channels) if isinstance(attention, dict) else attention
        if len(levels) != len(in_channels):
            raise UserError(
                f'attention must be one config or one for each of the {len(in_channels)} levels of '
                f'in_channels, got {len(levels)}'
            )
        self.levels = nn.ModuleList(
            nn.Identity()
            if cfg is None
            else build_mechanism('attention', cfg, norm_cfg, in_channels=channels)[1]
            for cfg, channels in zip(levels, in_channels, strict=True)
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Feature maps (B, C_i, H_i, W_i) -> maps of the same shapes."""
        if len(inputs) != len(self.levels):
            raise UserError(
                f'AttentionNeck got {len(inputs)} maps for {len(self.levels)} levels: in_channels '
                'names the channels of every map that the backbone gives'
            )
        return tuple(level(x) for level, x in zip(self.levels, inputs, strict=True))
