"""Any mechanism as a decode head."""

from mmseg.registry import MODELS
from torch import Tensor

from mmattn.models.decode_heads.context_fcn_head import ContextFCNHead
from mmattn.models.mechanisms import build_mechanism


@MODELS.register_module()
class AttentionHead(ContextFCNHead):
    """An FCN head with a registered attention mechanism between its two convolutions.

    With ``concat_input=False`` and PositionAttention or ChannelAttention this is one branch of
    DANet; with CrissCross or GlobalContext it is CCNetHead or GCNetHead.

    Args:
        attention: Config of the mechanism, ``dict(type='CBAM', reduction=8)``; its in_channels are
            the head's ``channels``, and so is its norm_cfg unless named.
        **kwargs: Arguments of mmseg's FCNHead, without num_convs.

    Raises:
        UserError: A mechanism that is unknown, joins two maps, or refuses its arguments.
    """

    def __init__(self, attention: dict, **kwargs) -> None:
        super().__init__(**kwargs)
        _, self.attention = build_mechanism(
            'attention', attention, self.norm_cfg, in_channels=self.channels
        )

    def context(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W)."""
        return self.attention(x)
