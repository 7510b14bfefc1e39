"""HRNet as its authors train it for segmentation (https://arxiv.org/abs/1904.04514)."""

from mmseg.models.backbones import HRNet
from mmseg.models.utils import Upsample
from mmseg.registry import MODELS


@MODELS.register_module()
class AlignedHRNet(HRNet):
    """mmseg's HRNet whose branches are enlarged with aligned corners before they are added.

    The authors do so (``MODEL.ALIGN_CORNERS`` of HRNet/HRNet-Semantic-Segmentation, branch
    HRNet-OCR), mmseg does not, and no setting changes it. Parameters are mmseg's. The same as the
    authors' for images whose sides are multiples of 32; for others mmseg resizes once more.

    Args:
        **kwargs: Arguments of mmseg's HRNet.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        for module in self.modules():
            if isinstance(module, Upsample):
                module.align_corners = True
