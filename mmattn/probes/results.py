"""Finished cells in a CSV file, and what several seeds of one say together."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mmattn.rows import append_row, read_rows

SOLVED, FAILED = 0.98, 0.60  # accuracies from which, and up to which, a verdict is given

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; the last one serves
# for more.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_NORMAL = 1.96
_KEY = slice(0, 4)  # fields of a cell


class Cell(NamedTuple):
    """One training: a mechanism on a probe, from a seed.

    Attributes:
        mechanism, probe, seed, steps: What was trained, and how long.
        accuracy: On new images, 0 to 1.
        images, pixels: What the accuracy counts.
        seconds: Time of training and test on the machine of that run.
        commit, mmattn, torch, python: What ran.
    """

    mechanism: str
    probe: str
    seed: int
    steps: int
    accuracy: float
    images: int
    pixels: int
    seconds: float
    commit: str
    mmattn: str
    torch: str
    python: str

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self[_KEY]


def is_solved(accuracy: float) -> bool | None:
    """True from 98 %, False up to 60 %, None between."""
    return True if accuracy >= SOLVED else False if accuracy <= FAILED else None


class Summary(NamedTuple):
    """Mean accuracy over seeds, with its 95 % confidence interval."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def solved(self) -> bool | None:
        return is_solved(self.mean)


def read_cells(path: Path) -> list[Cell]:
    """The finished cells of a file, as `mmattn.rows.read_rows` reads them."""
    return read_rows(path, Cell)


def append_cell(path: Path, cell: Cell) -> None:
    """Add a cell to the file, as `mmattn.rows.append_row` does, unless it has one of that key."""
    append_row(path, cell, _KEY)


def summarise(cells: Iterable[Cell]) -> dict[tuple[str, str, int], Summary]:
    """Summaries by mechanism, probe and steps."""
    groups = defaultdict(dict)
    for cell in cells:
        groups[cell.mechanism, cell.probe, cell.steps][cell.seed] = cell
    return {key: _summary(list(group.values())) for key, group in groups.items()}


def _summary(cells: list[Cell]) -> Summary:
    """Two intervals, and what holds both.

    Wilson's over the test images (images, not pixels: those of one image are right or wrong
    together); and from two seeds on Student's over the seeds, which starts and training data vary.
    """
    accuracies = [cell.accuracy for cell in cells]
    mean = statistics.fmean(accuracies)
    low, high = _wilson(mean, sum(cell.images for cell in cells))
    if len(cells) > 1:
        quantile = _STUDENT[min(len(cells) - 2, len(_STUDENT) - 1)]
        half = quantile * statistics.stdev(accuracies) / math.sqrt(len(cells))
        low, high = min(low, mean - half), max(high, mean + half)
    return Summary(mean, max(low, 0.0), min(high, 1.0), len(cells))


def _wilson(share: float, count: int) -> tuple[float, float]:
    square = _NORMAL**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    spread = share * (1 - share) / count + square / (4 * count**2)
    half = _NORMAL * math.sqrt(spread) / (1 + square / count)
    return centre - half, centre + half
