"""Asymmetric non-local network (https://arxiv.org/abs/1908.07678)."""

from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmattn.attention import AFNB, APNB
from mmattn.models.decode_heads.banded_loss import BandedLoss
from mmattn.models.decode_heads.layers import conv3x3, drop, require_plain_convolutions

_BLOCKS = ('AFNB', 'APNB')


@MODELS.register_module()
class ANLHead(BandedLoss, BaseDecodeHead):
    """AFNB fuses stages 3 and 4, a 3x3 convolution reduces, APNB adds context (figure 4).

    Loads state dicts of mmseg's ANNHead, whose constructor arguments it has.

    Args:
        project_channels: Channels of query, key and value.
        query_scales: One attention stage for each entry, its queries max-pooled by that factor.
        key_pool_scales: Grids that keys and values are pooled to.
        blocks: Which of the two blocks there are, 'AFNB' and 'APNB', for the comparison of section
            4.3; where one is left out the map passes unchanged.
        **kwargs: Arguments of mmseg's BaseDecodeHead; ``in_channels`` and ``in_index`` are pairs,
            low level first.

    Raises:
        ValueError: ``in_channels`` is not a pair, there is no such block, or ``conv_cfg`` is of
            other than plain convolutions.
    """

    def __init__(
        self,
        project_channels: int,
        query_scales: Sequence[int] = (1,),
        key_pool_scales: Sequence[int] = (1, 3, 6, 8),
        blocks: Sequence[str] = _BLOCKS,
        **kwargs,
    ) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        if len(self.in_channels) != 2:
            raise ValueError(
                f'ANLHead fuses two stages: in_channels must be a pair, got {self.in_channels}'
            )
        if isinstance(blocks, str) or not blocks or set(blocks) - {*_BLOCKS}:
            raise ValueError(f'blocks must be one or both of {_BLOCKS}, got {blocks!r}')
        require_plain_convolutions(self)
        low_channels, high_channels = self.in_channels
        options = dict(
            channels=project_channels,
            query_scales=query_scales,
            key_pool_scales=key_pool_scales,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )
        self.fusion = (
            AFNB(low_channels, high_channels, out_channels=high_channels, **options)
            if 'AFNB' in blocks
            else None
        )
        self.bottleneck = conv3x3(self, high_channels)
        self.context = (
            APNB(self.channels, out_channels=self.channels, **options)
            if 'APNB' in blocks
            else nn.Identity()
        )

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """Backbone features -> logits (B, out_channels, H, W)."""
        low_feats, high_feats = self._transform_inputs(inputs)
        fused = high_feats if self.fusion is None else self.fusion(low_feats, high_feats)
        return self.cls_seg(self.context(self.bottleneck(drop(self, fused))))
