"""Test images with their labels, and predictions that `SavePredictionsHook` wrote."""

from collections.abc import Mapping
from pathlib import Path

import mmcv
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmattn.engine.hooks.image_files import image_file_names
from mmattn.errors import UserError
from mmattn.visualization.panels import label_panels


class TestedImages:
    """The test data of a config.

    Attributes:
        paths: Of the images.
        classes: Names.
        palette: A colour for each class, or None.
        ignore_index: Of the ground truth, where it is no class: that of the metric, as it scores.
    """

    __test__ = False  # no test case, whatever its name begins with

    def __init__(self, cfg: Config) -> None:
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        self._data = DATASETS.build(cfg.test_dataloader.dataset)
        self.paths = [self._info(index)['img_path'] for index in range(len(self._data))]
        self._index = {path: index for index, path in enumerate(self.paths)}
        self._files = image_file_names(self.paths)
        self.classes = tuple(self._data.metainfo['classes'])
        self.palette = self._data.metainfo.get('palette')
        metrics = cfg.get('test_evaluator') or {}
        metrics = metrics if isinstance(metrics, list | tuple) else [metrics]
        given = [metric['ignore_index'] for metric in metrics if 'ignore_index' in metric]
        self.ignore_index = given[0] if given else getattr(self._data, 'ignore_index', 255)

    def labels(self, path: str) -> np.ndarray:
        """Ground truth (H, W) of an image, as the test pipeline loads it."""
        return self._data[self._index[path]]['data_samples'].gt_sem_seg.data[0].numpy()

    def prediction(self, path: str, folder: Path) -> np.ndarray:
        """Predicted classes (H, W) of an image, from the folder of its predictions.

        Raises:
            OSError: It is not there.
        """
        first = int(bool(self._info(self._index[path]).get('reduce_zero_label')))
        file = Path(folder, self._files[path])
        labels = np.asarray(Image.open(file)).astype(np.int64) - first
        if labels.ndim != 2:
            raise UserError(f'{file} holds colours: a prediction is one channel of class indices')
        return labels

    def panel(self, path: str, maps: Mapping[str, np.ndarray]) -> Image.Image:
        """`label_panels` of an image."""
        image = mmcv.imread(path, channel_order='rgb')
        return Image.fromarray(label_panels(image, maps, self.palette, self.classes))

    def _info(self, index: int) -> dict:
        return self._data.get_data_info(index)
