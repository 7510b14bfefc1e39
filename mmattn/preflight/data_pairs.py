"""Decode an image and its label: sizes and label values."""

from typing import NamedTuple

import numpy as np
from mmseg.datasets import BaseSegDataset
from PIL import Image, ImageOps

from mmattn.errors import UserError
from mmattn.preflight.data_files import PREPARE

BINARY = 'a class that is stored as 255 must be stored as 1; data/README.md converts such masks'


class Pair(NamedTuple):
    """What an image and its label hold."""

    size: tuple[int, int]  # width, height
    pixels: np.ndarray  # (num_classes + 1,) of each class and, last, of void; zeros without label


def look_at_pair(dataset: BaseSegDataset, num_classes: int, sample: dict) -> Pair:
    """Decode a sample of a filled data set; raise UserError where training could not use it."""
    image = _open(sample['img_path'])
    size = ImageOps.exif_transpose(image).size  # upright, as training sees it
    if 'seg_map_path' not in sample:
        return Pair(size, np.zeros(num_classes + 1, np.int64))
    path = sample['seg_map_path']
    label = _open(path)
    if label.size != size:
        raise UserError(
            f'label {path} is {label.width}x{label.height} (width x height), '
            f'its image {sample["img_path"]} is {size[0]}x{size[1]}; they must be of one size'
        )
    return Pair(size, _class_pixels(label, dataset, num_classes, sample))


def look_at_label(dataset: BaseSegDataset, num_classes: int, sample: dict) -> np.ndarray:
    """`Pair.pixels` of a sample that has a label; its image is not decoded."""
    return _class_pixels(_open(sample['seg_map_path']), dataset, num_classes, sample)


def _open(path: str) -> Image.Image:
    """The decoded image, as PIL has it."""
    try:
        image = Image.open(path)
        image.load()
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:  # what PIL raises for foreign, cut off and broken files
        raise UserError(
            f'cannot read image {path}: {error}. Replace the file or remove it from the set'
        ) from error
    return image


def _class_pixels(
    label: Image.Image, dataset: BaseSegDataset, num_classes: int, sample: dict
) -> np.ndarray:
    path, values = sample['seg_map_path'], np.asarray(label)
    if values.ndim != 2:
        raise UserError(
            f'label {path} has {values.shape[2]} channels; '
            'a label is one channel of class indices, not colours'
        )
    pixels = np.zeros(num_classes + 1, np.int64)
    for stored, count in _counts(values):
        used = _used_value(stored, sample)
        if used != dataset.ignore_index and not 0 <= used < num_classes:
            raise UserError(_bad_value(path, stored, used, num_classes, dataset))
        pixels[num_classes if used == dataset.ignore_index else int(used)] += count
    return pixels


def _counts(values: np.ndarray) -> list[tuple[int, int]]:
    """The values that occur, ascending, and how often."""
    if values.dtype.itemsize > 1:
        found, counts = np.unique(values, return_counts=True)
    else:  # ten times as fast
        counts = np.bincount(values.ravel())
        (found,) = np.nonzero(counts)
        counts = counts[found]
    return list(zip(found.tolist(), counts.tolist(), strict=True))


def _used_value(stored: int, sample: dict) -> int:
    """The class index that mmseg's LoadAnnotations makes of a stored value."""
    if sample['reduce_zero_label']:
        stored = 255 if stored in (0, 255) else stored - 1
    return (sample['label_map'] or {}).get(stored, stored)


def _bad_value(path: str, stored: int, used: int, num_classes: int, dataset: BaseSegDataset) -> str:
    reduced = f' (class {used} as the data set loads it)' if used != stored else ''
    remedy = BINARY if stored == 255 else 'if it is a class, set num_classes of the heads'
    return (
        f'label {path} holds the value {stored}{reduced}, but the head has {num_classes} classes: '
        f'expected 0 to {num_classes - 1}, or {dataset.ignore_index} which is ignored. If {stored} '
        f'means void, it must be {dataset.ignore_index} in the files: `{PREPARE}` converts CamVid '
        f'(void 11) and Cityscapes (polygons); {remedy}'
    )
