"""What is wrong in a folder of predictions, as tables and pictures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mmattn.apis.prediction_errors import PredictionErrors, load_maps
from mmattn.evaluation.errors import DISTANCE_NAMES, SIZE_NAMES
from mmattn.evaluation.report import areas_of_images, as_csv, write_report
from mmattn.evaluation.scores import class_scores, mean_of_present
from mmattn.files import replacing, write_atomically
from mmattn.visualization.document import Block, Heading, Paragraph, Picture, Table
from mmattn.visualization.heat_map import plot_heat_map

_PERCENT = dict(limits=(0, 100), extend='neither')  # of heat maps
MOST_CLASSES = 30  # in the picture of the confusion matrix


def write_errors(errors: PredictionErrors, out: Path, shown: int) -> list[Block]:
    """Write tables and pictures into a folder.

    Args:
        errors: What was counted.
        out: The folder.
        shown: How many of the best and of the worst images are drawn.

    Returns:
        What a page says of them.
    """
    classes = errors.images.classes
    of_images = areas_of_images(errors.images.paths, errors.areas[:, :4], classes)
    write_report(out / 'evaluation', errors.report, classes, errors.confusion, of_images)
    return [
        *_scores(errors),
        *_confusion(errors, out),
        *_sizes(errors, out),
        *_distances(errors, out),
        *_gallery(errors, out, shown),
    ]


def _scores(errors: PredictionErrors) -> Iterator[Block]:
    overall = errors.report['overall']
    yield Paragraph(
        f'{len(errors.areas)} images: '
        + ', '.join(f'{name} {number(value)}' for name, value in overall.items())
    )
    rows = errors.report['classes']
    names = [name for name in rows[0] if name != 'class']
    taken_for = [_taken_for(errors, index) for index in range(len(rows))]
    yield Table(
        ['class', *names, 'most taken for'],
        [
            [row['class'], *(number(row[name]) for name in names), other]
            for row, other in zip(rows, taken_for, strict=True)
        ],
    )


def _taken_for(errors: PredictionErrors, index: int) -> str:
    """The class that most pixels of a class are mistaken for: `road (3.1 %)`."""
    counts = errors.confusion[index].astype(float)
    whole, counts[index] = counts.sum(), 0
    if not counts.any():
        return ''
    other = int(counts.argmax())
    return f'{errors.images.classes[other]} ({100 * counts[other] / whole:.1f} %)'


def _confusion(errors: PredictionErrors, out: Path) -> Iterator[Block]:
    counts = errors.confusion
    wrong = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    shown = sorted(np.argsort(-wrong, kind='stable')[:MOST_CLASSES].tolist())
    names = {index: errors.images.classes[index] for index in shown}
    values = {
        (names[row], names[column]): 100 * counts[row, column] / counts[row].sum()
        for row in shown
        for column in shown
        if counts[row].any()
    }
    path = plot_heat_map(
        {'': list(names.values())},
        list(names.values()),
        values,
        out / 'confusion.png',
        title='What the pixels of each class (row) were predicted as (column)',
        label='share of the pixels of the class (%)',
        **_PERCENT,
    )
    caption = 'The diagonal is the recall of the class.'
    if len(shown) < len(counts):
        caption += f' Drawn: the {len(shown)} classes with the most errors of {len(counts)}.'
    yield Heading('Confusion', 3)
    yield Picture(path, caption)


def _sizes(errors: PredictionErrors, out: Path) -> Iterator[Block]:
    classes = errors.images.classes
    header = ['class', 'share of the image', 'objects', 'found', 'pixels', 'right']
    rows, values = [], {}
    for index, size in np.argwhere(errors.sizes[..., 0]):
        counts = errors.sizes[index, size].tolist()
        rows.append([classes[index], SIZE_NAMES[size], *counts])
        values[classes[index], SIZE_NAMES[size]] = 100 * counts[3] / counts[2]
    write_atomically(out / 'sizes.csv', as_csv([header, *rows]).encode())
    path = plot_heat_map(
        {'': classes},
        SIZE_NAMES,
        values,
        out / 'sizes.png',
        title='Right pixels of objects, by their share of the image',
        label='right pixels (%)',
        **_PERCENT,
    )
    yield Heading('Errors by size', 3)
    yield Picture(
        path,
        'An object is a connected region of a class in the ground truth; objects of one class that '
        'touch are one.',
    )
    total = errors.sizes.sum(0)
    yield Table(
        ['share of the image', 'objects', 'found (half of the pixels right)', 'right pixels'],
        [
            [name, f'{found[0]}', _share(found[1], found[0]), _share(found[3], found[2])]
            for name, found in zip(SIZE_NAMES, total.tolist(), strict=True)
        ],
    )


def _distances(errors: PredictionErrors, out: Path) -> Iterator[Block]:
    rows = [
        [name, *counts]
        for name, counts in zip(DISTANCE_NAMES, errors.distances.tolist(), strict=True)
    ]
    header = ['distance to the nearest boundary (pixels)', 'pixels', 'wrong']
    write_atomically(out / 'distances.csv', as_csv([header, *rows]).encode())
    pixels, wrong = errors.distances.sum(0).tolist()
    yield Heading('Errors at boundaries', 3)
    yield Table(
        [header[0], 'of all pixels', 'of all wrong pixels', 'wrong of these'],
        [
            [name, _share(here, pixels), _share(errs, wrong), _share(errs, here)]
            for name, here, errs in rows
        ],
    )


def _gallery(errors: PredictionErrors, out: Path, shown: int) -> Iterator[Block]:
    of_classes = 100 * class_scores(errors.areas)['IoU']
    scores = mean_of_present(of_classes)
    order = [int(index) for index in np.argsort(scores, kind='stable') if scores[index] >= 0]
    shown = min(shown, (len(order) + 1) // 2)  # a good image is not among the worst
    for kind, indices in (('worst', order[:shown]), ('best', order[::-1][:shown])):
        if not indices:
            continue
        yield Heading(f'The {kind} images by mIoU', 3)
        for place, index in enumerate(indices, 1):
            file = out / f'{kind}{place}.png'
            path = errors.images.paths[index]
            with replacing(file) as unfinished:
                _panel(errors, path).save(unfinished)
            least = int(np.nanargmin(of_classes[index]))
            yield Picture(
                file,
                f'{Path(path).name}: mIoU on this image {scores[index]:.1f}; the least IoU is that '
                f'of {errors.images.classes[least]}, {of_classes[index, least]:.1f}',
            )


def _panel(errors: PredictionErrors, path: str) -> Image.Image:
    """An image, its labels, its prediction, and the prediction where it is wrong."""
    label, prediction = load_maps(errors.images, errors.folder, path)
    right = (prediction == label) | (label == errors.images.ignore_index)
    maps = {'ground truth': label, 'prediction': prediction}
    maps['wrong pixels'] = np.where(right, -1, prediction)
    return errors.images.panel(path, maps)


def number(value: float | None) -> str:
    """A score as a page shows it."""
    return 'no pixels' if value is None else f'{value:.2f}'


def _share(part: int, whole: int) -> str:
    return f'{100 * part / whole:.1f} %' if whole else ''
