"""Bring downloaded data sets into the trees that the configs expect (data/README.md shows them).

Files are written under another name and then renamed, so what is there is whole, and a second run
does only what is missing.
"""

import re
import shutil
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from mmattn.datasets.progress import track
from mmattn.errors import UserError
from mmattn.files import replacing

CAMVID_SPLITS = ('train', 'val', 'test')
CAMVID_CLASSES, CAMVID_VOID = 11, 11
ADE20K = 'ADEChallengeData2016'
ADE20K_COUNTS = {'training': 20210, 'validation': 2000}


def _existing(folder: str | Path, what: str) -> Path:
    if not Path(folder).exists():
        raise UserError(f'{what} not found: {folder}')
    return Path(folder)


def _images(folder: Path) -> dict[str, Path]:
    """Visible image files of a folder by their stem, in order."""
    files = sorted(file for file in folder.glob('[!.]*') if file.suffix.lower() in ('.png', '.jpg'))
    return {file.stem: file for file in files}


def prepare_camvid(source: str | Path, root: str | Path) -> None:
    """Fill ``root/{images,labels}/{train,val,test}`` from the files published with SegNet.

    Void becomes 255 in the labels (11 in the SegNet files); images are copied. The test split is
    optional.

    Args:
        source: folder with ``train``, ``trainannot``, ``val``, ``valannot`` (``test``,
            ``testannot``), or with ``images`` and ``labels`` laid out as the result; or the folder
            above, where it is called ``CamVid``.
        root: the prepared data set.
    """
    source, root = _existing(source, 'source of CamVid'), Path(root)
    for folder in (source, source / 'CamVid'):
        for images, labels in (('{}', '{}annot'), ('images/{}', 'labels/{}')):
            if (folder / images.format('train')).is_dir() and (
                folder / labels.format('train')
            ).is_dir():
                return _convert_camvid(folder, images, labels, root)
    raise UserError(
        f'no CamVid found in {source}: expected the folders train, trainannot, val, valannot '
        '(as published with SegNet) or images/train, labels/train'
    )


def _convert_camvid(folder: Path, images: str, labels: str, root: Path) -> None:
    jobs, counts = [], {}
    for split in CAMVID_SPLITS:
        image_dir, label_dir = folder / images.format(split), folder / labels.format(split)
        if split == 'test' and not image_dir.is_dir():
            continue
        image_files = _images(_existing(image_dir, f'{split} images of CamVid'))
        label_files = _images(_existing(label_dir, f'{split} labels of CamVid'))
        unlabelled = sorted(set(image_files) - set(label_files))
        if unlabelled or not image_files:
            what = (
                f'{unlabelled[0]} ({len(unlabelled)} without label)'
                if unlabelled
                else 'none at all'
            )
            raise UserError(
                f'images of {image_dir} need a label of their name in {label_dir}: {what}'
            )
        counts[split] = len(image_files)
        for stem, image in image_files.items():
            jobs.append((shutil.copyfile, image, root / 'images' / split / image.name))
            jobs.append(
                (_convert_camvid_label, label_files[stem], root / 'labels' / split / f'{stem}.png')
            )
    for convert, file, target in track(jobs, len(jobs), 'camvid'):
        if convert is shutil.copyfile and target.exists():
            continue  # but labels that are there may be SegNet's, copied by hand
        with replacing(target) as unfinished:
            convert(file, unfinished)
    print(
        'camvid: '
        + ', '.join(f'{count} {split}' for split, count in counts.items())
        + f' images in {root}'
    )


def _convert_camvid_label(file: Path, target: Path) -> None:
    try:
        label = np.array(Image.open(file))
    except (OSError, SyntaxError) as error:  # the latter of a damaged PNG
        raise UserError(f'{file} cannot be read: {error}; copy it again') from error
    if label.ndim != 2:
        raise UserError(
            f'{file} is a colour picture; expected one channel of class indices, as from SegNet'
        )
    label[label == CAMVID_VOID] = 255
    unknown = np.setdiff1d(label, [*range(CAMVID_CLASSES), 255])
    if unknown.size:
        raise UserError(
            f'{file} holds the value {unknown[0]}; expected 0 to {CAMVID_CLASSES - 1}, '
            f'and {CAMVID_VOID} or 255 for void'
        )
    Image.fromarray(label).save(target, format='PNG')


def prepare_cityscapes(source: str | Path | None, root: str | Path) -> None:
    """Draw ``*_gtFine_labelTrainIds.png`` (19 classes, 255 ignored) for train and val.

    Args:
        source: folder with the extracted ``leftImg8bit`` and ``gtFine``; None where that is
            ``root``. Of another folder the images are linked, and it is not written to.
        root: the prepared data set.
    """
    source, root = _existing(source or root, 'folder of Cityscapes'), Path(root)
    for split in ('train', 'val'):
        for folder in ('leftImg8bit', 'gtFine'):
            _existing(
                source / folder / split,
                f'{folder} of Cityscapes (unpack {folder}_trainvaltest.zip there)',
            )
    _link(source / 'leftImg8bit', root / 'leftImg8bit')

    polygons = [
        file
        for split in ('train', 'val')
        for file in sorted((source / 'gtFine' / split).rglob('*_polygons.json'))
    ]
    if not polygons:
        raise UserError(
            f'no *_polygons.json in {source / "gtFine"}; unpack gtFine_trainvaltest.zip there'
        )
    jobs = []
    for file in polygons:
        name = file.name.replace('_polygons.json', '_labelTrainIds.png')
        target = root / file.relative_to(source).with_name(name)
        if not target.exists():
            jobs.append((file, target))
    if jobs:
        with ProcessPoolExecutor() as pool:
            drawn = pool.map(_draw_cityscapes_label, jobs, chunksize=4)
            for _ in track(drawn, len(jobs), 'cityscapes'):
                pass
    print(f'cityscapes: {len(polygons)} labels in {root / "gtFine"} ({len(jobs)} new)')


def _link(source: Path, target: Path) -> None:
    """Make ``target`` a link to ``source`` unless it is there."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve(), target_is_directory=True)


def _draw_cityscapes_label(job: tuple[Path, Path]) -> None:
    try:
        from cityscapesscripts.preparation.json2labelImg import json2labelImg
    except ImportError as error:
        raise UserError(
            'Cityscapes labels need cityscapesscripts: pip install cityscapesscripts'
        ) from error
    polygons, target = job
    with replacing(target) as unfinished:
        try:
            json2labelImg(str(polygons), str(unfinished), 'trainIds')
        except (Exception, SystemExit) as error:  # it exits the process for unknown labels
            raise UserError(f'cannot draw {polygons}: {error}') from error


def prepare_ade20k(
    source: str | Path | None, root: str | Path, counts: dict[str, int] = ADE20K_COUNTS
) -> None:
    """Unpack or link ADE20K (SceneParse150) as ``root/ADEChallengeData2016`` and count its files.

    Labels stay as they are: 1 to 150 are classes; 0, "other", is ignored by ``reduce_zero_label``.

    Args:
        source: ADEChallengeData2016.zip, or the folder with that file or with the extracted tree;
            None where that is ``root``.
        root: the prepared data set.
        counts: number of images expected in ``training`` and ``validation``.
    """
    source, root = _existing(source or root, 'source of ADE20K'), Path(root)
    archive = source / f'{ADE20K}.zip' if source.is_dir() else source
    tree = source if source.name == ADE20K else source / ADE20K
    target = root / ADE20K
    in_place = tree.is_dir() and target.is_dir() and tree.samefile(target)
    interrupted = in_place and not target.is_symlink() and not _is_whole(tree, counts)
    if archive.is_file() and (interrupted or not tree.is_dir()):
        _unpack(archive, root)
    elif tree.is_dir():
        _link(tree, root / ADE20K)
    else:
        raise UserError(f'neither {ADE20K}.zip nor the folder {ADE20K} found in {source}')

    for split, count in counts.items():
        images = _images(_existing(root / ADE20K / 'images' / split, 'images of ADE20K'))
        labels = _images(_existing(root / ADE20K / 'annotations' / split, 'labels of ADE20K'))
        if images.keys() != labels.keys() or len(images) != count:
            raise UserError(
                f'ADE20K in {root / ADE20K} is not whole: {split} has {len(images)} images and '
                f'{len(labels)} labels, expected {count} of each with the same names; '
                f'unpack {ADE20K}.zip again'
            )
    print(
        'ade20k: '
        + ', '.join(f'{count} {split}' for split, count in counts.items())
        + f' images in {root / ADE20K}'
    )


def _is_whole(tree: Path, counts: dict[str, int]) -> bool:
    folders = [
        (tree / kind / split, count)
        for kind in ('images', 'annotations')
        for split, count in counts.items()
    ]
    return all(folder.is_dir() and len(_images(folder)) == count for folder, count in folders)


def _unpack(archive: Path, root: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            inside = re.compile(rf'{ADE20K}/(?!.*\.\./).*[^/]')  # files, and only where they belong
            members = [member for member in opened.infolist() if inside.fullmatch(member.filename)]
            for member in track(members, len(members), f'unpacking {archive.name}'):
                target = root / member.filename
                if not target.exists():
                    with (
                        replacing(target) as unfinished,
                        opened.open(member) as packed,
                        open(unfinished, 'wb') as out,
                    ):
                        shutil.copyfileobj(packed, out)
    except zipfile.BadZipFile as error:
        raise UserError(
            f'{archive} is not a whole zip file ({error}); download it again'
        ) from error
