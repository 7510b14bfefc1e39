"""Predictions beside their images and ground truths, as pictures."""

import colorsys
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from mmattn.errors import UserError
from mmattn.visualization.fonts import font_for

MAX_SIDE = 800  # pixels; three panels of this width still fit on a large screen
GAP = 8  # pixels between panels and around them
PAPER, INK = (255, 255, 255), (40, 40, 40)
WITH_VOID = ('ground truth', 'wrong pixels')  # titles
VOID, VOID_LINES = (48, 48, 48), (104, 104, 104)


def prediction_panel(
    image: np.ndarray,
    gt: np.ndarray | None,
    pred: np.ndarray,
    palette: Sequence[Sequence[int]] | None,
    classes: Sequence[str],
) -> np.ndarray:
    """Image, ground truth and prediction side by side, over a legend of the classes that occur.

    Images of up to ``MAX_SIDE`` pixels keep their size, larger ones are scaled down. Ground truth
    that is no class (void, usually 255) is dark grey with light diagonal lines, which no class is.

    Args:
        image: (H, W, 3) uint8, RGB.
        gt: (H, W) integers, or None where there is no ground truth: two panels, then.
        pred: (H, W) integers, each of them a class.
        palette: one RGB colour of 0 to 255 per class, or None for colours of our own choice.
        classes: names, in the order of their labels.

    Returns:
        (H', W', 3) uint8, RGB.

    Raises:
        UserError: if the sizes differ, a predicted label is no class, or the palette is not as
            long as the classes.
    """
    maps = {'prediction': pred} if gt is None else {'ground truth': gt, 'prediction': pred}
    return label_panels(image, maps, palette, classes)


def label_panels(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    palette: Sequence[Sequence[int]] | None,
    classes: Sequence[str],
    opacity: float = 1,
) -> np.ndarray:
    """An image and maps of its labels, each under its title; see `prediction_panel`.

    All maps but those of the titles in ``WITH_VOID`` are predictions. With an opacity below 1 the
    image shows through their colours.
    """
    for title, labels in maps.items():
        if labels.shape != image.shape[:2]:
            raise UserError(
                f'the {title} is {labels.shape}, its image {image.shape[:2]} (height, width): '
                'both must have one size'
            )
        if title not in WITH_VOID and not 0 <= labels.min() <= labels.max() < len(classes):
            raise UserError(
                f'the {title} holds labels {labels.min()} to {labels.max()}, the data set has '
                f'{len(classes)} classes: was the model trained on another data set?'
            )
    colours = class_colours(palette, len(classes))

    height, width = image.shape[:2]
    scale = min(1, MAX_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    panels = {'image': Image.fromarray(image).resize(size, Image.Resampling.BOX)}
    present = set()
    for title, labels in maps.items():
        small = Image.fromarray(labels.astype(np.int32)).resize(size, Image.Resampling.NEAREST)
        panels[title] = Image.blend(panels['image'], paint(np.asarray(small), colours), opacity)
        present.update(np.unique(small).tolist())
    known = sorted(present & set(range(len(classes))))
    legend = [(' '.join(classes[label].split()), label) for label in known]  # one line each
    if len(known) < len(present):
        legend.append(('void', -1))
    return _compose(panels, legend, colours)


def class_colours(palette: Sequence[Sequence[int]] | None, num_classes: int) -> np.ndarray:
    """(num_classes, 3) uint8; without a palette, hues in steps of the golden ratio, none grey."""
    if not palette:
        hues = (i * 0.618034 % 1 for i in range(num_classes))
        palette = [
            [255 * c for c in colorsys.hsv_to_rgb(hue, (0.8, 0.5)[i // 2 % 2], (0.95, 0.65)[i % 2])]
            for i, hue in enumerate(hues)
        ]
    if len(palette) != num_classes:
        raise UserError(f'the palette has {len(palette)} colours for {num_classes} classes')
    return np.array(palette).astype(np.uint8)


def paint(labels: np.ndarray, colours: np.ndarray) -> Image.Image:
    """(H, W) labels in their colours; labels without a colour get the void pattern."""
    void = (labels < 0) | (labels >= len(colours))
    painted = colours[np.where(void, 0, labels)]
    rows, columns = np.indices(labels.shape)
    painted[void] = VOID
    painted[void & ((rows + columns) % 8 < 2)] = VOID_LINES
    return Image.fromarray(painted)


def _compose(
    panels: dict[str, Image.Image], legend: list[tuple[str, int]], colours: np.ndarray
) -> np.ndarray:
    """Titles over panels over a legend of as few rows as fit below the panels."""
    width, height = panels['image'].size
    font_size = min(max(width // 30, 13), 24)
    fonts = {text: font_for(text, font_size) for text in [*panels, *(name for name, _ in legend)]}
    lengths = {text: math.ceil(font.getlength(text)) for text, font in fonts.items()}
    line = sum(fonts['image'].getmetrics())
    cell = max(width, *(lengths[title] for title in panels)) + GAP
    entries = [line + GAP + lengths[name] + 3 * GAP for name, _ in legend]
    total = GAP + max([len(panels) * cell, *entries])
    rows = 0
    for rows in range(1, len(legend) + 1):
        columns = math.ceil(len(legend) / rows)
        widths = [max(entries[column::columns]) for column in range(columns)]
        if GAP + sum(widths) <= total:
            break

    below_title = line + 2 * GAP
    below_panels = below_title + height + 2 * GAP
    canvas = Image.new('RGB', (total, below_panels + rows * (line + GAP)), PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, (title, panel) in enumerate(panels.items()):
        draw.text((GAP + i * cell, GAP), title, INK, fonts[title])
        canvas.paste(panel, (GAP + i * cell, below_title))
    for i, (name, label) in enumerate(legend):
        x = GAP + sum(widths[: i % columns])
        y = below_panels + i // columns * (line + GAP)
        canvas.paste(paint(np.full((line, line), label), colours), (x, y))
        draw.text((x + line + GAP, y), name, INK, fonts[name])
    return np.asarray(canvas)
