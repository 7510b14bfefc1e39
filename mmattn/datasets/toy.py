"""The toy set: generated harbour-street scenes in the Cityscapes layout, for demos and tests."""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from mmattn.datasets.progress import track
from mmattn.datasets.toy_scenes import CLASSES, render_scene
from mmattn.errors import UserError

SPLITS = {'train': 40, 'val': 16}
IMAGE_SUFFIX, LABEL_SUFFIX = '_leftImg8bit.png', '_gtFine_labelTrainIds.png'


@DATASETS.register_module()
class ToyScenesDataset(BaseSegDataset):
    """Generated scenes of 128x256 pixels with 8 classes; void is 255.

    Cars and boats look the same, and so do lamps and trees: only their surroundings differ.
    """

    METAINFO = dict(
        classes=CLASSES,
        palette=[
            [120, 180, 240], [160, 80, 60], [110, 110, 110], [20, 70, 200],
            [230, 30, 40], [255, 140, 0], [250, 230, 60], [30, 140, 50],
        ],
    )  # fmt: skip

    def __init__(self, **kwargs) -> None:
        super().__init__(img_suffix=IMAGE_SUFFIX, seg_map_suffix=LABEL_SUFFIX, **kwargs)


def generate_toy_scenes(root: str | Path) -> None:
    """Write the toy set, always the same, to ``root/{leftImg8bit,gtFine}/{train,val}/toyville``.

    The finished set appears at once under its name, so an interrupted run leaves no half set; where
    a complete set stands already nothing is done.

    Raises:
        UserError: ``root`` holds something else.
    """
    root = Path(root)
    if _is_complete(root):
        print(f'toy scenes: already complete in {root}')
        return
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(
            f'{root} exists but is not a complete toy set; remove it or choose another --root'
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    scenes = [(split, index) for split, count in SPLITS.items() for index in range(count)]
    with tempfile.TemporaryDirectory(prefix=f'.{root.name}-', dir=root.parent) as scratch:
        unfinished = Path(scratch) / 'toy'
        for split, index in track(scenes, len(scenes), 'toy scenes'):
            _write_scene(unfinished, split, index)
        try:
            os.replace(unfinished, root)
        except OSError:
            if not _is_complete(root):  # else another process was faster with the same set
                raise
    print(
        'toy scenes: '
        + ' and '.join(f'{count} {split}' for split, count in SPLITS.items())
        + f' images in {root}'
    )


def _scene_files(root: Path, split: str, index: int) -> tuple[Path, Path]:
    """Image and label file of one scene."""
    stem = f'{split}/toyville/toyville_{index:06d}_000000'
    return root / f'leftImg8bit/{stem}{IMAGE_SUFFIX}', root / f'gtFine/{stem}{LABEL_SUFFIX}'


def _is_complete(root: Path) -> bool:
    return all(
        file.is_file()
        for split, count in SPLITS.items()
        for index in range(count)
        for file in _scene_files(root, split, index)
    )


def _write_scene(root: Path, split: str, index: int) -> None:
    rng = np.random.Generator(np.random.PCG64([list(SPLITS).index(split), index]))
    image, label = render_scene(rng, road_first=index % 2 == 0)
    for file, pixels in zip(
        _scene_files(root, split, index), (image[..., ::-1], label), strict=True
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(file), pixels):
            raise OSError(f'cannot write {file}')
