"""Pictures for tests that would take photographs: generated scenes in the layout of CamVid."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmattn.datasets.toy_scenes import render_scene

FRAMES = {'train': 3, 'val': 3}
SIZE = (480, 360)  # width, height of CamVid as the SegNet tutorial has it


def write_scenes(root: Path) -> None:
    """Write ``root/images/{train,val}/*.jpg`` and ``root/labels/{train,val}/*.png``, void 255.

    The scenes of the toy set, enlarged, with the grain of a camera and the traces of JPEG; a strip
    below holds the classes that scenes lack, so that all 11 of CamVid occur.
    """
    rng = np.random.default_rng(0)
    for split, count in FRAMES.items():
        for kind in ('images', 'labels'):
            (root / kind / split).mkdir(parents=True)
        for index in range(count):
            image, label = _scene(rng)
            name = f'{split}_{index:03}'
            Image.fromarray(image).save(root / f'images/{split}/{name}.jpg', quality=95)
            Image.fromarray(label).save(root / f'labels/{split}/{name}.png')


def _scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image, label = render_scene(rng, road_first=True)
    image = cv2.resize(image, SIZE, interpolation=cv2.INTER_CUBIC)
    label = cv2.resize(label, SIZE, interpolation=cv2.INTER_NEAREST)
    image = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    label[-12:] = np.repeat([8, 9, 10], SIZE[0] // 3)
    return image, label
