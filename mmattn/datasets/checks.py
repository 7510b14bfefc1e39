"""Look at a data set before time is spent on it: folders, pairs, sizes, label values.

What would otherwise surface as ``Target 11 is out of bounds`` deep in a loss is told here with
the file and its remedy.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS
from PIL import Image, ImageOps

from mmattn.datasets.progress import track
from mmattn.errors import UserError

MODES = ('sample', 'full', 'off')
SAMPLE_SIZE = 32
PREPARE = 'python tools/prepare_data.py'


def check_dataset(dataset_cfg: dict, num_classes: int, mode: str = 'sample') -> None:
    """Check a data set config, or those inside a wrapper such as RepeatDataset or ConcatDataset.

    All modes but ``off`` look for the folders and for the label of every image. ``sample`` decodes
    up to 32 evenly spaced pairs (about a second), ``full`` every pair. Types not derived from
    ``BaseSegDataset`` and files that are not on a local disk are left alone.

    Args:
        dataset_cfg: as in ``cfg.train_dataloader.dataset``; it is not changed.
        num_classes: number of classes of the decode head.
        mode: ``sample``, ``full`` or ``off``.

    Raises:
        UserError: names the first thing that is wrong and how to mend it.
    """
    if mode not in MODES:
        raise UserError(f'check mode {mode!r} is not known; choose one of {", ".join(MODES)}')
    if mode == 'off':
        return
    for dataset in _without_files(dataset_cfg):
        _check_one(dataset, num_classes, mode)


def class_names(dataset_cfg: dict) -> Iterator[tuple[str, Sequence[str] | None]]:
    """Type and class names (None where it names none) of each data set inside a config."""
    for dataset in _without_files(dataset_cfg):
        yield _name(dataset), dataset.metainfo.get('classes')


def _without_files(dataset_cfg: dict) -> Iterator[BaseSegDataset]:
    """The data sets inside a config, built but not filled; without foreign types and storage."""
    for cfg in _unwrapped(dataset_cfg):
        if (cfg.get('backend_args') or {}).get('backend', 'local') != 'local':
            continue
        dataset_type = cfg.get('type')
        if isinstance(dataset_type, str):
            dataset_type = DATASETS.get(dataset_type)
        if isinstance(dataset_type, type) and issubclass(dataset_type, BaseSegDataset):
            yield DATASETS.build(
                {**cfg, 'pipeline': [], 'lazy_init': True, 'serialize_data': False}
            )


def _unwrapped(cfg: dict) -> Iterator[dict]:
    """The configs of the real data sets inside a config."""
    inner = cfg.get('datasets', cfg.get('dataset'))
    if inner is None:
        yield cfg
        return
    for child in inner if isinstance(inner, list | tuple) else [inner]:
        yield from _unwrapped(child)


def _check_one(dataset: BaseSegDataset, num_classes: int, mode: str) -> None:
    _check_folders(dataset)
    dataset.full_init()
    samples = dataset.data_list
    if not samples:
        folder = dataset.data_prefix['img_path']
        raise UserError(
            f'data set {_name(dataset)} is empty: no image *{dataset.img_suffix} in {folder} '
            f'(it holds {_glimpse(folder)}). {_remedy()}'
        )
    _check_listed(dataset, samples, 'img_path')
    has_labels = 'seg_map_path' in samples[0]
    if has_labels:
        _check_listed(dataset, samples, 'seg_map_path')

    if mode == 'sample' and len(samples) > SAMPLE_SIZE:
        samples = [samples[i] for i in np.linspace(0, len(samples) - 1, SAMPLE_SIZE).astype(int)]
    check = partial(_check_pair, dataset, num_classes) if has_labels else _check_image
    _run(check, samples, f'checking {_name(dataset)}')


def _run(check: Callable[[dict], object], samples: list[dict], title: str) -> None:
    """Check samples in threads (decoding frees the interpreter); raise the first error by order."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in track(pool.map(check, samples), len(samples), title):
            pass


def _name(dataset: BaseSegDataset) -> str:
    return type(dataset).__name__


def _remedy() -> str:
    return (
        f'data/README.md shows the expected tree, `{PREPARE} --help` how to prepare it; '
        'set MMATTN_DATA where your data sets live elsewhere'
    )


def _check_folders(dataset: BaseSegDataset) -> None:
    expected = {
        'data root': dataset.data_root,
        'image folder': dataset.data_prefix.get('img_path'),
        'label folder': dataset.data_prefix.get('seg_map_path'),
    }
    for what, folder in expected.items():
        if folder and not os.path.isdir(folder):
            raise UserError(f'{what} of {_name(dataset)} not found: {folder}. {_remedy()}')
    if dataset.ann_file and not os.path.exists(dataset.ann_file):
        raise UserError(f'ann_file of {_name(dataset)} not found: {dataset.ann_file}')


def _glimpse(folder: str) -> str:
    """A few words on what a folder holds."""
    names = sorted(
        os.path.relpath(os.path.join(at, name), folder)
        for at, _, files in os.walk(folder)
        for name in files
    )
    return f'{len(names)} files, the first is {names[0]}' if names else 'no file at all'


def _check_listed(dataset: BaseSegDataset, samples: list[dict], key: str) -> None:
    """Every file of the samples is there, by listing each folder once."""
    folders = defaultdict(list)
    for sample in samples:
        folders[os.path.dirname(sample[key])].append(sample)
    missing = []
    for folder, members in folders.items():
        present = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        missing += [sample for sample in members if os.path.basename(sample[key]) not in present]
    if not missing:
        return
    more = f' ({len(missing)} of {len(samples)} are missing)' if len(missing) > 1 else ''
    if key == 'img_path':
        raise UserError(
            f'image {missing[0][key]} is named in {dataset.ann_file} but not there{more}'
        )
    raise UserError(
        f'image {missing[0]["img_path"]} has no label: {missing[0][key]} is not there{more}. '
        f'{_remedy()}'
    )


def _open(path: str) -> Image.Image:
    """The decoded image, as PIL has it."""
    try:
        image = Image.open(path)
        image.load()
    except (
        OSError,
        SyntaxError,
        ValueError,
    ) as error:  # what PIL raises for foreign, cut off and broken files
        raise UserError(
            f'cannot read image {path}: {error}. Replace the file or remove it from the set'
        ) from error
    return image


def _check_image(sample: dict) -> tuple[int, int]:
    """Width and height of the image as it is trained on: upright, if its header says how."""
    return ImageOps.exif_transpose(_open(sample['img_path'])).size


def _check_pair(dataset: BaseSegDataset, num_classes: int, sample: dict) -> None:
    path = sample['seg_map_path']
    label, size = _open(path), _check_image(sample)
    if label.size != size:
        raise UserError(
            f'label {path} is {label.width}x{label.height} (width x height), '
            f'its image {sample["img_path"]} is {size[0]}x{size[1]}; they must be of one size'
        )
    pixels = np.asarray(label)
    if pixels.ndim != 2:
        raise UserError(
            f'label {path} has {pixels.shape[2]} channels; '
            'a label is one channel of class indices, not colours'
        )
    for stored in np.unique(pixels).tolist():
        used = _used_value(stored, sample)
        if used != dataset.ignore_index and used >= num_classes:
            raise UserError(_bad_value(path, stored, used, num_classes, dataset))


def _used_value(stored: int, sample: dict) -> int:
    """The class index that mmseg's LoadAnnotations makes of a stored value."""
    if sample['reduce_zero_label']:
        stored = 255 if stored in (0, 255) else stored - 1
    return (sample['label_map'] or {}).get(stored, stored)


def _bad_value(path: str, stored: int, used: int, num_classes: int, dataset: BaseSegDataset) -> str:
    reduced = f' (class {used} as the data set loads it)' if used != stored else ''
    return (
        f'label {path} holds the value {stored}{reduced}, but the head has {num_classes} classes: '
        f'expected 0 to {num_classes - 1}, or {dataset.ignore_index} which is ignored. If {stored} '
        f'means void, it must be {dataset.ignore_index} in the files: `{PREPARE}` converts CamVid '
        f'(void 11) and Cityscapes (polygons); if it is a class, set num_classes of the heads'
    )
