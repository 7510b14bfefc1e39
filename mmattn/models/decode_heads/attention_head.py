"""Any mechanism as a decode head."""

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from mmattn.errors import UserError
from mmattn.models.decode_heads.context_fcn_head import ContextFCNHead
from mmattn.models.mechanisms import build_mechanism


@MODELS.register_module()
class AttentionHead(ContextFCNHead):
    """An FCN head with attention between its two convolutions: one registered mechanism or a chain.

    With ``concat_input=False`` and PositionAttention or ChannelAttention this is one branch of
    DANet; with CrissCross (``recurrence=2``) or GlobalContext it is CCNetHead or GCNetHead.

    Args:
        attention: Config of the mechanism, ``dict(type='CBAM', reduction=8)``; its in_channels are
            the head's ``channels``, its norm_cfg the head's unless it names one. A list of configs
            is a chain: each sees the output of the one before it.
        **kwargs: Arguments of mmseg's FCNHead, without num_convs.

    Raises:
        UserError: An empty list; a mechanism that is unknown, joins two maps, or refuses its
            arguments.
    """

    def __init__(self, attention: dict | Sequence[dict], **kwargs) -> None:
        super().__init__(**kwargs)
        if isinstance(attention, dict):
            self.attention = self._build('attention', attention)
        elif not attention:
            raise UserError('attention must be a config or a list of them, got an empty list')
        else:
            self.attention = nn.Sequential(
                *(self._build(f'attention[{i}]', cfg) for i, cfg in enumerate(attention))
            )

    def _build(self, role: str, cfg: dict) -> nn.Module:
        return build_mechanism(role, cfg, self.norm_cfg, in_channels=self.channels)[1]

    def context(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W)."""
        return self.attention(x)
