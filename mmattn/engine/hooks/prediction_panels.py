"""Predictions beside their images and ground truths."""

import mmcv
import numpy as np
from mmengine.fileio import get
from mmengine.registry import HOOKS
from mmengine.structures import BaseDataElement

from mmattn.engine.hooks.image_files import ImageFilesHook
from mmattn.visualization import prediction_panel


@HOOKS.register_module()
class PredictionPanelHook(ImageFilesHook):
    """Writes a ``prediction_panel`` of every test image."""

    def picture(self, sample: BaseDataElement) -> np.ndarray:
        image = mmcv.imfrombytes(get(sample.img_path), channel_order='rgb')
        pred = sample.pred_sem_seg.data[0].long().cpu().numpy()
        gt = sample.gt_sem_seg.data[0].cpu().numpy() if 'gt_sem_seg' in sample else None
        return prediction_panel(image, gt, pred, self.meta.get('palette'), self.meta['classes'])
