"""Labels as a run meets them: none that is no class of the model is trained on or scored."""

import os
import struct
from collections.abc import Callable, Collection, Iterator

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile, TestTimeAug
from mmengine.dataset import Compose
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs
from PIL import Image

from mmattn.errors import UserError, first_line

_EIGHT_BITS = ('1', 'L', 'P')  # PIL's modes of one channel whose values LoadAnnotations keeps
# What PIL, OpenCV and mmcv raise for files that are foreign, cut off or broken.
UNREADABLE = (OSError, SyntaxError, ValueError, AssertionError, IndexError, struct.error)
UNREADABLE += (cv2.error, Image.DecompressionBombError)


def watch_labels(dataset: object, num_classes: int, ignored: Collection[int]) -> None:
    """Have each label of a data set checked when a run meets it, beyond a sample of files.

    Reading is watched for files that cannot be read and for values that 8 bits do not hold; what
    remains after the data set's own steps, for values that are no class. The data set, and those
    that it wraps, get two steps more; its config stays as it is. A label that fails is told by a
    UserError that names its file.

    Args:
        dataset: Any with a pipeline of mmengine's, or a wrapper of such.
        num_classes: Classes of the model.
        ignored: Values besides them that losses and metrics leave out.
    """
    check = _CheckLabel(num_classes, frozenset(ignored))
    for pipeline in _pipelines(dataset):
        _watch(pipeline, check)


def _pipelines(dataset: object) -> Iterator[Compose]:
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for child in inner:
        if child is not None:
            yield from _pipelines(child)
    pipeline = getattr(dataset, 'pipeline', None)
    if isinstance(pipeline, Compose):
        yield pipeline


def _watch(pipeline: Compose, check: '_CheckLabel') -> None:
    steps = []
    for step in pipeline.transforms:
        if isinstance(step, TestTimeAug):
            for branch in step.subroutines:
                _watch(branch, check)
        if isinstance(step, PackSegInputs):
            steps.append(check)
        # Subclasses, which may read what no file holds, are left alone.
        known = type(step) in (LoadAnnotations, LoadImageFromFile)
        steps.append(_Load(step) if known else step)
    if check not in steps:
        steps.append(check)
    pipeline.transforms = steps


class _Load:
    """A step that reads an image or its label, and names the file of what it cannot read."""

    def __init__(self, step: Callable[[dict], dict]) -> None:
        self.step = step

    def __call__(self, results: dict) -> dict:
        label = isinstance(self.step, LoadAnnotations)
        path = results.get('seg_map_path' if label else 'img_path')
        try:
            results = self.step(results)
            if label and os.path.isfile(path):
                _check_bits(path)
        except UNREADABLE as error:
            if isinstance(error, UserError):
                raise
            if isinstance(error, AssertionError) and 'reduce_zero_label' in str(error):
                raise UserError(
                    'reduce_zero_label of the data set and of LoadAnnotations in its pipeline '
                    'contradict each other: leave it out of the pipeline'
                ) from error
            raise UserError(
                f'cannot read {"label" if label else "image"} {path}: '
                f'{first_line(error)}. Replace the file or remove it from the set'
            ) from error
        if label:
            _check_size(path, results)
        return results

    def __repr__(self) -> str:
        return repr(self.step)


class _CheckLabel:
    """A step that refuses a label with a value that is no class, well under 1 ms."""

    def __init__(self, num_classes: int, ignored: frozenset[int]) -> None:
        self.num_classes = num_classes
        self.ignored = ignored

    def __call__(self, results: dict) -> dict:
        label = results.get('gt_seg_map')
        if label is not None and not self._is_clean(label):
            strange = set(np.unique(label).tolist()) - set(range(self.num_classes)) - self.ignored
            if strange:
                raise UserError(self._message(results.get('seg_map_path'), sorted(strange)))
        return results

    def _is_clean(self, label: np.ndarray) -> bool:
        """Whether one pass finds nothing to look at closely."""
        if label.dtype != np.uint8 or self.num_classes > 255:
            return False
        # 255 wraps to 0, so that the usual void and the classes are one range.
        return (label + np.uint8(255 in self.ignored)).max() < self.num_classes + (
            255 in self.ignored
        )

    def _message(self, path: str | None, strange: list[int]) -> str:
        void = (
            f', or {" or ".join(map(str, sorted(self.ignored)))} for void' if self.ignored else ''
        )
        return (
            f'label {path} holds {", ".join(map(str, strange[:5]))} (as the data set loads it), '
            f'but the model has {self.num_classes} classes: expected 0 to {self.num_classes - 1}'
            f'{void}. Mend the file, or set num_classes of the heads if these are classes; '
            '--check-data full looks at all files before a run'
        )

    def __repr__(self) -> str:
        return f'labels in 0 to {self.num_classes - 1} or {sorted(self.ignored)}'


def _check_bits(path: str) -> None:
    """Refuse a label with values above 255: mmseg keeps the lowest 8 bits only."""
    with Image.open(path) as image:
        if image.mode in _EIGHT_BITS:
            return
        largest = np.asarray(image).max()
    if largest > 255:
        raise UserError(
            f'label {path} holds the value {largest}, of which mmseg would keep '
            f'{int(largest) % 256}: store class indices in 8 bits, 255 for void'
        )


def _check_size(path: str, results: dict) -> None:
    label, size = results['gt_seg_map'], results.get('ori_shape')
    if label.ndim < 2:
        raise UserError(f'label {path} is one pixel high or wide, which mmseg cannot load')
    if label.ndim > 2:
        raise UserError(
            f'label {path} has {label.shape[-1]} channels; '
            'a label is one channel of class indices, not colours'
        )
    if size is not None and label.shape != tuple(size[:2]):
        raise UserError(
            f'label {path} is {label.shape[1]}x{label.shape[0]} (width x height), its image '
            f'{results.get("img_path")} is {size[1]}x{size[0]}; they must be of one size'
        )
