"""DANet (https://arxiv.org/abs/1809.02983)."""

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import Tensor, nn

from mmattn.attention import ChannelAttention, PositionAttention
from mmattn.models.decode_heads.banded_loss import BandedLoss
from mmattn.models.decode_heads.layers import conv3x3, drop


@MODELS.register_module()
class DANetHead(BandedLoss, BaseDecodeHead):
    """Position and channel attention side by side; their sum is classified, and each branch too.

    Three outputs are supervised; the fused one is the prediction. Loads state dicts of mmseg's
    DAHead, whose constructor arguments it has.

    Args:
        pam_channels: Channels of query and key of the position attention.
        **kwargs: Arguments of mmseg's BaseDecodeHead.
    """

    def __init__(self, pam_channels: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.pam_in_conv = conv3x3(self, self.in_channels)
        self.pam = PositionAttention(self.channels, pam_channels)
        self.pam_out_conv = conv3x3(self, self.channels)
        self.pam_conv_seg = nn.Conv2d(self.channels, self.out_channels, 1)
        self.cam_in_conv = conv3x3(self, self.in_channels)
        self.cam = ChannelAttention(self.channels)
        self.cam_out_conv = conv3x3(self, self.channels)
        self.cam_conv_seg = nn.Conv2d(self.channels, self.out_channels, 1)

    def forward(self, inputs: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Backbone features -> fused, position and channel logits, (B, out_channels, H, W) each."""
        x = self._transform_inputs(inputs)
        position = self.pam_out_conv(self.pam(self.pam_in_conv(x)))
        channel = self.cam_out_conv(self.cam(self.cam_in_conv(x)))
        position_logits = self.pam_conv_seg(drop(self, position))
        channel_logits = self.cam_conv_seg(drop(self, channel))
        return self.cls_seg(position + channel), position_logits, channel_logits

    def predict(self, inputs: list[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """The fused logits, resized to the image: (B, out_channels, H, W)."""
        return self.predict_by_feat(self.forward(inputs)[0], batch_img_metas)

    def loss_by_feat(
        self, seg_logits: tuple[Tensor, Tensor, Tensor], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Losses and accuracies of the three outputs, prefixed ``pam_cam.``, ``pam.``, ``cam.``."""
        losses = {}
        for name, logits in zip(('pam_cam', 'pam', 'cam'), seg_logits, strict=True):
            losses.update(add_prefix(super().loss_by_feat(logits, batch_data_samples), name))
        return losses
