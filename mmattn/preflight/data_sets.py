"""Look at data sets: their files, and what their images and labels hold.

What would otherwise surface as ``Target 11 is out of bounds`` deep in a loss, or not at all, is
told here with the file and its remedy.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from mmattn.datasets.progress import track
from mmattn.errors import UserError
from mmattn.preflight.data_files import check_files, check_folders, other_images
from mmattn.preflight.data_pairs import BINARY, Pair, look_at_label, look_at_pair
from mmattn.preflight.data_summary import DataReport, DataSummary, percent, shortened

SAMPLE_SIZE = 32
S = TypeVar('S')
T = TypeVar('T')


class WrongFilesError(UserError):
    """Files of a data set that are wrong; the text is that of the first.

    Attributes:
        errors: One for each file.
    """

    def __init__(self, errors: Sequence[UserError]) -> None:
        more = len(errors) - 1
        others = f' ({more} more files are wrong: `mmattn check CONFIG` lists them)'
        super().__init__(f'{errors[0]}{others * bool(more)}')
        self.errors = tuple(errors)


class OpenDataset(NamedTuple):
    """A data set that knows its folders and classes, with its place in the config."""

    place: str
    dataset: BaseSegDataset
    loads_labels: bool  # by a step of its pipeline, which is left out


def open_datasets(cfg: dict, place: str = 'dataset') -> Iterator[OpenDataset]:
    """The data sets of a config, also those inside a wrapper such as ConcatDataset.

    Types not derived from ``BaseSegDataset`` and files that are not on a local disk are left out.
    The config is not changed, and the data sets are not filled yet.

    Raises:
        UserError: `seg_map_path` is None, which mmengine refuses.
    """
    for inner_place, inner in inner_configs(cfg, place):
        local = (inner.get('backend_args') or {}).get('backend', 'local') == 'local'
        if local and issubclass(dataset_type(inner), BaseSegDataset):
            if (inner.get('data_prefix') or {}).get('seg_map_path', '') is None:
                raise UserError(_no_labels(inner_place))
            steps = [step for step in inner.get('pipeline') or [] if isinstance(step, dict)]
            loads_labels = any(step.get('type') == 'LoadAnnotations' for step in steps)
            quick = {'pipeline': [], 'lazy_init': True, 'serialize_data': False}
            yield OpenDataset(inner_place, DATASETS.build({**inner, **quick}), loads_labels)


def inner_configs(cfg: dict, place: str) -> Iterator[tuple[str, dict]]:
    """The configs of the real data sets inside a config, with their places."""
    key = 'datasets' if 'datasets' in cfg else 'dataset'
    inner = cfg.get(key)
    if inner is None:
        yield place, cfg
    elif isinstance(inner, list | tuple):
        for index, child in enumerate(inner):
            yield from inner_configs(child, f'{place}.{key}.{index}')
    else:
        yield from inner_configs(inner, f'{place}.{key}')


def dataset_type(cfg: dict) -> type:
    """The class of a data set; object where no registry knows it."""
    kind = cfg.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    return kind if isinstance(kind, type) else object


def check_datasets(
    datasets: Sequence[OpenDataset], num_classes: int, mode: str, training: bool = True
) -> DataReport:
    """Check the data sets that make up the data of one loader.

    Folders and the label of every image are looked for. ``sample`` decodes up to 32 evenly spaced
    pairs of each data set (about a second), ``full`` every pair.

    Args:
        datasets: as `open_datasets` gives them; they are filled here.
        num_classes: number of classes of the head.
        mode: ``sample`` or ``full``.
        training: whether they are trained on, which takes more than one class.

    Raises:
        UserError: names the first thing that is wrong and how to mend it.
    """
    summaries = collect_wrong(partial(_look_at, num_classes=num_classes, mode=mode), datasets)
    warnings = [warning for summary in summaries for warning in _file_warnings(summary)]
    if any(summary.labelled for summary in summaries):
        pixels = sum(summary.pixels for summary in summaries)
        complete = all(summary.looked_at == summary.images for summary in summaries)
        if not _several_classes(pixels):
            if not complete:
                pixels = _pixels_of_all(datasets, num_classes)
            if not _several_classes(pixels):
                warnings.append(_check_one_class(pixels, datasets, training))
        elif complete and not pixels[:-1].all():
            absent = [summaries[0].classes[index] for index in np.flatnonzero(pixels[:-1] == 0)]
            places = ' and '.join(summary.place for summary in summaries)
            warnings.append(f'classes without a pixel in {places}: {shortened(absent)}')
    return DataReport(tuple(summaries), tuple(warnings))


def _no_labels(place: str) -> str:
    return (
        f'{place} names no folder of labels (data_prefix.seg_map_path), which training and '
        'validation need. Images without labels are for test.py: there seg_map_path=None says that '
        'there are none'
    )


def collect_wrong(look: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """What ``look`` returns for each item; the files that are wrong in any come in one error."""
    results, errors = [], []
    for item in items:
        try:
            results.append(look(item))
        except WrongFilesError as wrong:
            errors += wrong.errors
    if errors:
        raise WrongFilesError(errors)
    return results


def _look_at(opened: OpenDataset, num_classes: int, mode: str) -> DataSummary:
    place, dataset, loads_labels = opened
    check_folders(place, dataset)
    try:
        dataset.full_init()
    except (OSError, UnicodeDecodeError) as error:  # an ann_file that is a folder, or no text
        raise UserError(f'the files of {place} cannot be listed: {error}') from error
    unused = check_files(place, dataset)
    samples = dataset.data_list
    labelled = 'seg_map_path' in samples[0]
    if loads_labels and not labelled:
        raise UserError(_no_labels(place))
    if mode == 'sample' and len(samples) > SAMPLE_SIZE:
        samples = [samples[i] for i in np.linspace(0, len(samples) - 1, SAMPLE_SIZE).astype(int)]
    looks = list(_in_threads(partial(_attempt, look_at_pair, dataset, num_classes), samples, place))
    errors = [look for look in looks if isinstance(look, UserError)]
    if errors:
        raise WrongFilesError(errors)
    pairs = [look for look in looks if isinstance(look, Pair)]
    return DataSummary(
        place=place,
        kind=type(dataset).__name__,
        folder=dataset.data_prefix['img_path'],
        img_suffix=dataset.img_suffix,
        classes=_class_names(dataset, num_classes),
        images=len(dataset.data_list),
        looked_at=len(samples),
        sizes=frozenset(pair.size for pair in pairs),
        labelled=labelled,
        pixels=sum(pair.pixels for pair in pairs),
        all_void=tuple(
            sample['seg_map_path']
            for sample, pair in zip(samples, pairs, strict=True)
            if labelled and not pair.pixels[:-1].any()
        ),
        unused=unused,
    )


def _attempt(look: Callable[..., T], *args: Any) -> T | UserError:
    try:
        return look(*args)
    except UserError as error:
        return error


def _class_names(dataset: BaseSegDataset, num_classes: int) -> tuple[str, ...]:
    """Numbers, where the data set does not name the classes of the head."""
    names = dataset.metainfo.get('classes') or ()
    return tuple(names if len(names) == num_classes else map(str, range(num_classes)))


def _in_threads(look: Callable[[dict], T], samples: list[dict], place: str) -> Iterator[T]:
    """What a function returns for each sample, in order; decoding frees the interpreter."""
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        yield from track(pool.map(look, samples), len(samples), f'checking {place}')
    finally:
        pool.shutdown(cancel_futures=True)


def _file_warnings(summary: DataSummary) -> Iterator[str]:
    reason = other_images(summary.img_suffix)
    others = summary.unused.get(reason)
    if others:
        yield (
            f'{len(others)} {reason} are not used, such as {others[0]}: rename them if they belong '
            f'to the data, or set {summary.place}.img_suffix; a data set has one suffix'
        )
    if summary.all_void:
        yield (
            f'{len(summary.all_void)} of {summary.looked_at} labels of {summary.place} are all '
            f'void, such as {summary.all_void[0]}'
        )


def _several_classes(pixels: np.ndarray) -> bool:
    return np.count_nonzero(pixels[:-1]) > 1


def _pixels_of_all(datasets: Sequence[OpenDataset], num_classes: int) -> np.ndarray:
    """Pixels of each class and of void in all labels, or in as many as show a second class."""
    pixels = np.zeros(num_classes + 1, np.int64)
    for place, dataset, _ in datasets:
        look = partial(look_at_label, dataset, num_classes)
        samples = [sample for sample in dataset.data_list if 'seg_map_path' in sample]
        for more in _in_threads(look, samples, place):
            pixels += more
            if _several_classes(pixels):
                return pixels
    return pixels


def _check_one_class(pixels: np.ndarray, datasets: Sequence[OpenDataset], training: bool) -> str:
    """A warning of labels of one class; UserError where there is void besides, or training.

    One class alone may be meant in evaluation: photographs without any fault, for instance.
    """
    place, dataset, _ = datasets[0]
    void = f'void ({dataset.ignore_index}, {percent(pixels[-1] / pixels.sum())} of the pixels)'
    found = [f'class {index}' for index in np.flatnonzero(pixels[:-1])]
    found += [void] if pixels[-1] else []
    fact = f'the labels of {place} hold {" and ".join(found)} and nothing else'
    if pixels[-1]:
        reduced = 'reduce_zero_label makes void of 0; ' if dataset.reduce_zero_label else ''
        anyway = '' if training else ' (--check-data off tests all the same)'
        raise UserError(f'{fact}: {reduced}{BINARY}{anyway}')
    if training:
        raise UserError(
            f'{fact}, from which nothing can be learned: check the files in the folder '
            '(--check-data off trains on them all the same)'
        )
    return f'{fact}: metrics say little'
