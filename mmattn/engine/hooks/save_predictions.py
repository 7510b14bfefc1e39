"""Predictions as files."""

import numpy as np
from mmengine.registry import HOOKS
from mmengine.structures import BaseDataElement

from mmattn.engine.hooks.image_files import ImageFilesHook


@HOOKS.register_module()
class SavePredictionsHook(ImageFilesHook):
    """Writes the predicted labels of every test image.

    A pixel's value is the label as in the data set's label files: where those keep 0 for unlabelled
    pixels (`reduce_zero_label`, as ADE20K does), classes count from 1. Labels that may go beyond
    255 are written with 16 bits.
    """

    def picture(self, sample: BaseDataElement) -> np.ndarray:
        first = int(bool(sample.get('reduce_zero_label')))
        labels = sample.pred_sem_seg.data[0].long().cpu().numpy() + first
        last = first + len(self.meta['classes']) - 1
        return labels.astype(np.uint8 if last <= 255 else np.uint16)
