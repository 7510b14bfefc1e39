"""Pictures of what a trained model attends to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mmattn.apis.models import refuse_clips
from mmattn.apis.segmentor import LoadedImage, Segmentor
from mmattn.engine.runtimes import is_exported
from mmattn.errors import UserError
from mmattn.files import check_writable, write_atomically
from mmattn.visualization.attention_drawing import Panel, Point, Scene
from mmattn.visualization.attention_page import attention_page, attention_sheet
from mmattn.visualization.attention_panels import image_panel, layer_panels
from mmattn.visualization.attention_scene import run_watched
from mmattn.visualization.capture import CapturedAttention

SHEET_COLUMNS = 2  # of one model; several models have one each


def draw_attention(
    config: str | Path,
    checkpoint: str | Path,
    image: str | Path,
    *,
    points: Sequence[Point] = (),
    layers: Sequence[str] = (),
    compare: Sequence[str | Path] = (),
    out: str | Path | None = None,
    device: str | torch.device = 'cpu',
    cfg_options: dict[str, Any] | None = None,
) -> Path:
    """Draw what a trained model attends to in one image: a PNG for each picture, and a page of all.

    The image goes through the model whole, even where the config tests in sliding windows.

    Args:
        config: config file.
        checkpoint: weights of that config's model: a file, or the name of a model that
            MMSegmentation publishes, which is downloaded.
        image: file of an image.
        points: pixels (x, y) of the image that ask; the one in the middle where none is given.
        layers: names of attention modules; all of the model where none is given.
        compare: more checkpoints of the same config, drawn beside the first.
        out: folder of the pictures; default `work_dirs/<config name>/attention`.
        device: where the model shall run.
        cfg_options: overrides, dotted key to value.

    Returns:
        The page, `index.html`, which holds its pictures itself. Beside it lies `sheet.png`, all of
        them on one sheet.

    Raises:
        UserError: Whatever can be known to be wrong with these: a point outside of the image, an
            unknown layer, a model without attention, an image that cannot be read.
    """
    for file in filter(is_exported, (checkpoint, *compare)):
        raise UserError(
            f'{file} is exported, and keeps what a module attends to inside: give the checkpoint'
        )
    out = Path(out or Path('work_dirs', Path(config).stem, 'attention'))
    check_writable(out, 'the folder of pictures', 'name another with --out')
    columns: dict[str, list[Panel]] = {}
    names = _short_names([checkpoint, *compare])
    for name, file in zip(names, [checkpoint, *compare], strict=True):
        segmentor = Segmentor(config, file, device=device, optimize=False, cfg_options=cfg_options)
        loaded = segmentor.load(image)
        points = points or [_middle(loaded)]
        _check_points(points, loaded)
        captured, scene = watch(segmentor, loaded)
        for layer in layers:
            captured[layer]  # an unknown one is told before anything is drawn
        columns[name] = [image_panel(scene, points)]
        columns[name] += [
            panel
            for layer in layers or captured.layers
            for panel in layer_panels(captured[layer], scene, points)
        ]
    drawn = {name: [(panel, panel.png()) for panel in panels] for name, panels in columns.items()}
    for name, pictures in drawn.items():
        folder = out if len(drawn) == 1 else out / name
        for panel, png in pictures:
            write_atomically(folder / f'{panel.name}.png', png)
    every = [png for rows in zip(*drawn.values(), strict=True) for _, png in rows]
    width = len(drawn) if len(drawn) > 1 else min(len(every), SHEET_COLUMNS)
    write_atomically(out / 'sheet.png', attention_sheet(every, width))
    page = out / 'index.html'
    title = f'{Path(config).stem} on {Path(image).name}'
    write_atomically(page, attention_page(title, drawn))
    return page


def watch(segmentor: Segmentor, image: LoadedImage) -> tuple[CapturedAttention, Scene]:
    """Send an image that `Segmentor.load` has read through its model, whole, and keep what its
    attention read.

    Raises:
        UserError: The model has no attention, or attends over clips.
    """
    model = segmentor.model
    refuse_clips(model, 'a picture of attention is of')
    return run_watched(model, image.packed, image.image, model.dataset_meta)


def _middle(image: LoadedImage) -> Point:
    height, width = image.image.shape[:2]
    return width // 2, height // 2


def _check_points(points: Sequence[Point], image: LoadedImage) -> None:
    height, width = image.image.shape[:2]
    for x, y in points:
        if not (0 <= x < width and 0 <= y < height):
            raise UserError(
                f'point {x},{y} is outside of {image.path}, which has {width} x {height} pixels: '
                f'x must be 0 to {width - 1}, y 0 to {height - 1}'
            )


def _short_names(files: Sequence[str | Path]) -> list[str]:
    """File names, with folders where two share one, fit for folders."""
    names = [Path(file).stem for file in files]
    if len(set(names)) == len(names):
        return names
    names = [f'{Path(file).absolute().parent.name}-{Path(file).stem}' for file in files]
    return [f'{i + 1}-{name}' for i, name in enumerate(names)]
