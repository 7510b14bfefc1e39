"""An image goes through a segmentor whose attention is watched."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from torch import nn

from mmattn.visualization.attention_drawing import Scene
from mmattn.visualization.capture import CapturedAttention, capture_attention
from mmattn.visualization.panels import class_colours


def run_watched(
    model: nn.Module, packed: dict[str, Any], image: np.ndarray, meta: Mapping[str, Any]
) -> tuple[CapturedAttention, Scene]:
    """Predict one image whole, even where the config tests in sliding windows.

    Args:
        model: A segmentor of mmseg, in evaluation mode.
        packed: The image as the test pipeline packs it.
        image: The same, (H, W, 3) uint8, RGB.
        meta: ``classes`` and ``palette`` of the model.

    Raises:
        UserError: The model has no attention that can be asked.
    """
    test_cfg, model.test_cfg = model.test_cfg, ConfigDict(mode='whole')
    try:
        with capture_attention(model) as captured, torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([packed]))
    finally:
        model.test_cfg = test_cfg
    classes = meta['classes']
    scene = Scene(
        image=image,
        pred=sample.pred_sem_seg.data[0].long().cpu().numpy(),  # one logit gives floats
        classes=classes,
        palette=class_colours(meta.get('palette'), len(classes)),
        shape=tuple(packed['data_samples'].img_shape[:2]),
        size=captured.size,
    )
    return captured, scene
