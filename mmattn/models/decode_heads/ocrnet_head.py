"""OCRNet (https://arxiv.org/abs/1909.11065)."""

from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from mmattn.attention import ObjectAttention, SpatialGather
from mmattn.attention.weighing import Weigh, compute
from mmattn.models.decode_heads.banded_loss import BandedLoss
from mmattn.models.decode_heads.layers import conv3x3, require_plain_convolutions


@MODELS.register_module()
class OCRNetHead(BandedLoss, BaseCascadeDecodeHead):
    """Object regions gathered from the previous head's logits; pixels attend to them (figure 3).

    The second head of a CascadeEncoderDecoder. Loads state dicts of mmseg's OCRHead, whose
    constructor arguments it has.

    Args:
        ocr_channels: Channels of query, key and value.
        scale: Max-pooling factor of the queries' map. (In mmseg's OCRHead it also multiplies the
            logits of the gather; here, as in the authors' code, it does not. At 1 they are equal.)
        **kwargs: Arguments of mmseg's BaseDecodeHead.

    Raises:
        ValueError: ``conv_cfg`` is of other than plain convolutions.
    """

    def __init__(self, ocr_channels: int, scale: int = 1, **kwargs) -> None:
        super().__init__(**kwargs)
        require_plain_convolutions(self)
        self.object_context_block = ObjectAttention(
            self.channels, ocr_channels, scale=scale, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg
        )
        self.spatial_gather_module = SpatialGather()
        self.bottleneck = conv3x3(self, self.in_channels)

    def forward(self, inputs: list[Tensor], prev_output: Tensor, weigh: Weigh = compute) -> Tensor:
        """Features and the last head's logits (B, K, H, W) -> logits (B, out_channels, H, W)."""
        feats = self.bottleneck(self._transform_inputs(inputs))
        regions = self.spatial_gather_module(feats, prev_output, weigh)
        return self.cls_seg(self.object_context_block(feats, regions, weigh))
