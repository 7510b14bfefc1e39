"""The files of a data set: are all there, and which of its folders' files are left unused."""

import os
from collections import defaultdict

from mmseg.datasets import BaseSegDataset

from mmattn.errors import UserError

PREPARE = 'mmattn prepare'
REMEDY = (
    f'`{PREPARE} --help` says how to prepare it, data/README.md of mmattn shows the tree; '
    'set MMATTN_DATA where your data sets live elsewhere'
)
IMAGES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')  # in any case
UNLABELLED = 'to test on images without labels, set data_prefix.seg_map_path=None in'


def check_folders(place: str, dataset: BaseSegDataset) -> None:
    """Raise UserError where the folders or the ann_file of a data set are missing or unreadable."""
    expected = {
        'data root': dataset.data_root,
        'image folder': dataset.data_prefix.get('img_path'),
        'label folder': dataset.data_prefix.get('seg_map_path'),
    }
    for what, folder in expected.items():
        if folder and not os.path.isdir(folder):
            raise UserError(
                f'{what} of {_name(dataset)} not found: {folder}. {REMEDY}'
                f'{_if_unlabelled(place) if what == "label folder" else ""}'
            )
    for key in ('img_path', 'seg_map_path'):
        _check_walk(dataset.data_prefix.get(key))
    if dataset.ann_file and not os.path.exists(dataset.ann_file):
        raise UserError(f'ann_file of {_name(dataset)} not found: {dataset.ann_file}')


def check_files(place: str, dataset: BaseSegDataset) -> dict[str, list[str]]:
    """Look for the files of all samples of a filled data set, listing each folder once.

    Returns:
        The files of its folders that are used for nothing: reason to sorted paths.

    Raises:
        UserError: There is no image at all, or an image or a label is missing.
    """
    folder, samples = dataset.data_prefix['img_path'], dataset.data_list
    images, labels = (_files(dataset.data_prefix.get(key)) for key in ('img_path', 'seg_map_path'))
    if not samples and dataset.ann_file:
        raise UserError(f'data set {_name(dataset)} is empty: {dataset.ann_file} lists no image')
    if not samples:
        glimpse = f'{len(images)} files, the first is ' if images else 'no file at all'
        first = os.path.relpath(min(images), folder) if images else ''
        raise UserError(
            f'data set {_name(dataset)} is empty: no image *{dataset.img_suffix} in {folder} '
            f'(it holds {glimpse}{first}). {REMEDY}'
        )
    used = set()
    for key in ('img_path', 'seg_map_path'):
        paths = {os.path.normpath(sample[key]): sample for sample in samples if key in sample}
        absent = [path for path in paths if path not in images and path not in labels]
        missing = [paths[path] for path in absent if not os.path.exists(path)]
        if missing:
            raise UserError(_missing(place, dataset, missing, key))
        used.update(paths)

    unused = defaultdict(list)
    for path in sorted((images | labels) - used):
        unused[_why_unused(path, dataset, path in images, path in labels)].append(path)
    return dict(unused)


def other_images(img_suffix: str) -> str:
    """The reason, as in `check_files`, of images that the suffix of the data set leaves out."""
    return f'images that do not end in {img_suffix}'


def _name(dataset: BaseSegDataset) -> str:
    return type(dataset).__name__


def _files(folder: str | None) -> set[str]:
    """The normalised paths of all files below a folder."""
    if not folder:
        return set()
    return {
        os.path.join(at, name)
        for at, _, names in os.walk(os.path.normpath(folder), followlinks=True)
        for name in names
    }


def _check_walk(folder: str | None) -> None:
    """Raise UserError where a folder cannot be listed, or contains itself by a symbolic link."""

    def refuse(error: OSError) -> None:
        raise UserError(f'folder {error.filename} cannot be listed: {error.strerror}')

    for at, folders, _ in os.walk(folder, onerror=refuse, followlinks=True) if folder else ():
        for name in folders:
            inner = os.path.join(at, name)
            # mmengine would list its files forty times over.
            if os.path.islink(inner) and _is_inside(at, os.path.realpath(inner)):
                raise UserError(
                    f'{inner} is a symbolic link to a folder that it lies in, so that there is no '
                    'end of files: remove the link'
                )


def _is_inside(path: str, folder: str) -> bool:
    return os.path.commonpath([os.path.realpath(path), folder]) == folder


def _missing(place: str, dataset: BaseSegDataset, missing: list[dict], key: str) -> str:
    count = len(dataset.data_list)
    more = f' ({len(missing)} of {count} are missing)' if len(missing) > 1 else ''
    path = missing[0][key]
    if key == 'img_path':
        reason = ''
        if os.path.basename(path) == dataset.img_suffix:
            reason = ': one of its lines is blank'
        elif '\ufeff' in path:
            reason = ': it begins with a byte order mark (BOM); save it as UTF-8 without one'
        return f'image {path} is named in {dataset.ann_file} but not there{more}{reason}'
    return (
        f'image {missing[0]["img_path"]} has no label: {path} is not there{more}. {REMEDY}'
        f'{_if_unlabelled(place)}'
    )


def _if_unlabelled(place: str) -> str:
    return f'; {UNLABELLED} {place}' if place.startswith('test_') else ''


def _why_unused(path: str, dataset: BaseSegDataset, is_image: bool, is_label: bool) -> str:
    """Why a file is unused that lies in the image folder, the label folder or both."""
    name = os.path.basename(path)
    if name.startswith('.'):  # mmengine skips them
        return 'hidden files'
    if is_label and name.endswith(dataset.seg_map_suffix):
        return 'labels of no used image'
    if is_image and name.endswith(dataset.img_suffix):
        return f'images that {dataset.ann_file or "the data set"} does not list'
    if is_image and name.lower().endswith(IMAGES):
        return other_images(dataset.img_suffix)
    return 'other files'
