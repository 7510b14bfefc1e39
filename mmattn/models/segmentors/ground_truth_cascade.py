"""A cascade whose last head may look at the labels, for upper bounds."""

from mmseg.models.segmentors import CascadeEncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmattn.errors import UserError


@MODELS.register_module()
class GroundTruthCascade(CascadeEncoderDecoder):
    """Hands the labels to its last head when it predicts, as mmseg's does when it trains.

    What it scores is no performance, but a bound on what better regions could give.

    Raises:
        UserError: When it predicts: an image without a label, flipped images, windows.
    """

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """As of mmseg's segmentors; each image's meta information also holds its ``gt_sem_seg``."""
        if (self.test_cfg or {}).get('mode', 'whole') != 'whole':
            raise UserError("GroundTruthCascade has no windows: use model.test_cfg.mode='whole'")
        metas = []
        for sample in data_samples or [None] * len(inputs):
            if sample is None or 'gt_sem_seg' not in sample:
                raise UserError(
                    'GroundTruthCascade predicts from the labels; there is an image without one. '
                    "Images without labels are for OCRNetHead in mmseg's CascadeEncoderDecoder"
                )
            if sample.metainfo.get('flip'):
                raise UserError(
                    'GroundTruthCascade has no test-time augmentation: it would flip '
                    'images and not their labels'
                )
            metas.append(dict(sample.metainfo, gt_sem_seg=sample.gt_sem_seg.data))
        return self.postprocess_result(self.inference(inputs, metas), data_samples)
