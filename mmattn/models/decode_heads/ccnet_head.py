"""CCNet (https://arxiv.org/abs/1811.11721)."""

from mmseg.registry import MODELS
from torch import Tensor

from mmattn.attention import CrissCross
from mmattn.models.decode_heads.context_fcn_head import ContextFCNHead


@MODELS.register_module()
class CCNetHead(ContextFCNHead):
    """Recurrent criss-cross attention in an FCN head.

    Loads state dicts of mmseg's CCHead, whose constructor arguments it has.

    Args:
        recurrence: Steps of criss-cross attention, which share their weights.
        **kwargs: Arguments of mmseg's FCNHead, without num_convs.
    """

    def __init__(self, recurrence: int = 2, **kwargs) -> None:
        super().__init__(**kwargs)
        self.cca = CrissCross(self.channels, recurrence)

    def context(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W)."""
        return self.cca(x)
