"""Feature pyramid with attentional feature fusion (https://arxiv.org/abs/2009.14082)."""

from collections.abc import Sequence
from functools import partial

from mmseg.models.necks import FPN
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.errors import UserError
from mmattn.models.mechanisms import build_mechanism

_AFF = {'type': 'AFF'}


@MODELS.register_module()
class AFFFPN(FPN):
    """mmseg's FPN whose top-down addition is a fusion by attention (the paper's long skips).

    Each level is fused with the next one above, resized to it: x and y of `AFF`. Its state dict is
    the FPN's plus ``fusions``, which keep the initial values of their source.

    Args:
        in_channels: Channels of each level of the backbone.
        out_channels: Channels of each output.
        num_outs: Number of outputs. There are no extra levels: one for each level used.
        fusion: Config of the fusion of two maps without in_channels, 'AFF' or 'IAFF'.
        norm_cfg: As of mmseg's FPN. Fusions whose config does not name one take it too; with None
            they keep their default, a batch norm.
        **kwargs: Other arguments of mmseg's FPN.

    Raises:
        UserError: ``num_outs`` asks for extra levels, or the fusion is unknown or refuses its
            arguments.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        fusion: dict = _AFF,
        norm_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(list(in_channels), out_channels, num_outs, norm_cfg=norm_cfg, **kwargs)
        levels = len(self.lateral_convs)
        if num_outs != levels:
            raise UserError(
                f'AFFFPN has no extra levels: num_outs must be {levels}, got {num_outs}'
            )
        self._build = partial(build_mechanism, 'fusion', fusion, norm_cfg, in_channels=out_channels)
        self.fusions = nn.ModuleList(self._build()[1] for _ in range(levels - 1))

    def init_weights(self) -> None:
        """As of mmseg's FPN, which would draw the convolutions of the fusions anew."""
        super().init_weights()
        for fusion in self.fusions:
            fusion.load_state_dict(self._build()[1].state_dict())

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Feature maps (B, C_i, H_i, W_i) -> (B, out_channels, H_i, W_i) of the levels used."""
        used = inputs[self.start_level : self.backbone_end_level]
        maps = [conv(x) for conv, x in zip(self.lateral_convs, used, strict=True)]
        for i in reversed(range(len(self.fusions))):
            maps[i] = self.fusions[i](maps[i], self._upsample(maps[i + 1], maps[i]))
        return tuple(conv(x) for conv, x in zip(self.fpn_convs, maps, strict=True))

    def _upsample(self, x: Tensor, target: Tensor) -> Tensor:
        if 'scale_factor' in self.upsample_cfg:
            return F.interpolate(x, **self.upsample_cfg)
        return F.interpolate(x, size=target.shape[2:], **self.upsample_cfg)
