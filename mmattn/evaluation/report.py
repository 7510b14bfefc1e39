"""The report of an evaluation: a JSON file with everything, CSV files for tables."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmattn.files import write_atomically


def percent(score: float) -> float | None:
    """A score of 0 to 1 in percent; None, which JSON has, for NaN."""
    return None if np.isnan(score) else round(100 * float(score), 4)


def tables_of_scores(
    overall: Mapping[str, float], of_classes: Mapping[str, Sequence[float]], classes: Sequence[str]
) -> dict[str, Any]:
    """What a report says of scores: `overall`, and `classes`, a row for each; in percent."""
    return {
        'overall': {name: percent(score) for name, score in overall.items()},
        'classes': [
            {'class': name} | {score: percent(of_classes[score][i]) for score in of_classes}
            for i, name in enumerate(classes)
        ],
    }


def write_report(
    stem: Path,
    report: dict,
    classes: Sequence[str],
    confusion: np.ndarray | None,
    images: list[list] | None = None,
) -> list[Path]:
    """Write ``stem``.json, ``stem``_classes.csv, and what was counted of the following.

    ``stem``_confusion.csv, the confusion matrix; ``stem``_images.csv, the areas of each image.

    Args:
        report: What JSON can hold; ``classes`` in it is a list of rows with the same keys.
        classes: Names, in the order of the matrix.
        confusion: Pixels; labels are rows, predictions columns.
        images: Rows of `areas_of_images`.

    Returns:
        The paths.
    """
    rows = report['classes']
    tables = {'classes': [rows[0].keys(), *(row.values() for row in rows)]}
    if confusion is not None:
        counts = confusion.tolist()
        report = {**report, 'confusion': counts}
        named = ([name, *row] for name, row in zip(classes, counts, strict=True))
        tables['confusion'] = [['label \\ prediction', *classes], *named]
    if images is not None:
        tables['images'] = images
    texts = {f'{stem.name}.json': json.dumps(report, indent=1) + '\n'}
    texts |= {f'{stem.name}_{name}.csv': as_csv(table) for name, table in tables.items()}
    for name, text in texts.items():
        write_atomically(stem.with_name(name), text)
    return [stem.with_name(name) for name in texts]


def areas_of_images(paths: Sequence[str], areas: np.ndarray, classes: Sequence[str]) -> list[list]:
    """A table of the areas of each image, without the classes that it lacks.

    Args:
        paths: Of the images.
        areas: Pixels, of shape (images, 4, classes): intersection, union, predicted, labelled.
        classes: Names.

    Returns:
        A row of names, then the rows.
    """
    rows = [['image', 'class', 'intersection', 'union', 'predicted', 'labelled']]
    for path, counts in zip(paths, areas, strict=True):
        for index in np.flatnonzero(counts[1]):
            rows.append([path, classes[index], *counts[:, index].tolist()])
    return rows


def as_csv(rows: Iterable[Iterable]) -> str:
    """Rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()
