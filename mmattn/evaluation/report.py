"""The report of an evaluation: a JSON file with everything, CSV files for tables."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mmattn.files import write_atomically


def percent(score: float) -> float | None:
    """A score of 0 to 1 in percent; None, which JSON has, for NaN."""
    return None if np.isnan(score) else round(100 * float(score), 4)


def write_report(
    stem: Path, report: dict, classes: Sequence[str], confusion: np.ndarray | None
) -> list[Path]:
    """Write ``stem``.json, ``stem``_classes.csv and, if it was counted, ``stem``_confusion.csv.

    Args:
        report: What JSON can hold; ``classes`` in it is a list of rows with the same keys.
        classes: Names, in the order of the matrix.
        confusion: Pixels; labels are rows, predictions columns.

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
    texts = {f'{stem.name}.json': json.dumps(report, indent=1) + '\n'}
    texts |= {f'{stem.name}_{name}.csv': _csv(table) for name, table in tables.items()}
    for name, text in texts.items():
        write_atomically(stem.with_name(name), text.encode())
    return [stem.with_name(name) for name in texts]


def _csv(rows: Iterable[Iterable]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()
