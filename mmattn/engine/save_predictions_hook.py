"""Predictions as files."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image

from mmattn.errors import UserError
from mmattn.visualization.files import write_atomically
from mmattn.visualization.panels import panel_names


@HOOKS.register_module()
class SavePredictionsHook(Hook):
    """Writes the predicted labels of every test image as a PNG with the image's name.

    A pixel's value is the label as in the data set's label files: where those keep 0 for unlabelled
    pixels (`reduce_zero_label`, as ADE20K does), classes count from 1.
    """

    def __init__(self, out_dir: str | Path) -> None:
        self.out_dir = Path(out_dir)
        if self.out_dir.exists() and not self.out_dir.is_dir():
            raise UserError(f'{out_dir} is a file; the predictions need a folder')

    def before_test(self, runner: Runner) -> None:
        dataset = runner.test_dataloader.dataset
        self.names = panel_names(dataset.get_data_info(i)['img_path'] for i in range(len(dataset)))

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[BaseDataElement] = (),
    ) -> None:
        for sample in outputs:
            labels = sample.pred_sem_seg.data[0].cpu().numpy()
            labels = labels + bool(sample.get('reduce_zero_label'))
            png = io.BytesIO()
            Image.fromarray(labels.astype(np.uint8)).save(png, 'PNG')
            write_atomically(self.out_dir / self.names[sample.img_path], png.getvalue())
