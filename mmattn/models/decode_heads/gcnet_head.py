"""GCNet (https://arxiv.org/abs/1904.11492)."""

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor

from mmattn.attention import GlobalContext
from mmattn.models.decode_heads.context_fcn_head import ContextFCNHead


@MODELS.register_module()
class GCNetHead(ContextFCNHead):
    """A global context block in an FCN head.

    Loads state dicts of mmseg's GCHead, whose constructor arguments it has.

    Args:
        ratio: Width of the block's bottleneck as a part of ``channels``.
        pooling_type: 'att' or 'avg'.
        fusion_types: One or both of 'channel_add' and 'channel_mul'.
        **kwargs: Arguments of mmseg's FCNHead, without num_convs.
    """

    def __init__(
        self,
        ratio: float = 1 / 4,
        pooling_type: str = 'att',
        fusion_types: Sequence[str] = ('channel_add',),
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.gc_block = GlobalContext(self.channels, ratio, pooling_type, fusion_types)

    def context(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W)."""
        return self.gc_block(x)
