"""Finished cells in a CSV file, and what several seeds of one say together."""

import csv
import io
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SOLVED, FAILED = 0.98, 0.60  # accuracies from which, and up to which, a verdict is given

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; the last one serves
# for more.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_NORMAL = 1.96


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
        return self[:4]


class Summary(NamedTuple):
    """Mean accuracy over seeds, with its 95 % confidence interval."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def solved(self) -> bool | None:
        """True from 98 %, False up to 60 %, None between."""
        return True if self.mean >= SOLVED else False if self.mean <= FAILED else None


def read_cells(path: Path) -> list[Cell]:
    """The finished cells of a file, none where there is no file.

    A last line without its end is that of a process that was killed while it wrote, and left out.

    Raises:
        ValueError: A line that is not one of a cell.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding='utf-8').splitlines(keepends=True)
    cells = []
    for number, row in enumerate(csv.reader(line for line in lines if line.endswith('\n')), 1):
        if tuple(row) == Cell._fields:  # two, where two processes began the file at once
            continue
        try:
            values = zip(Cell.__annotations__.values(), row, strict=True)
            cells.append(Cell(*(kind(value) for kind, value in values)))
        except ValueError as error:
            raise ValueError(
                f'{path}, line {number}: expected {",".join(Cell._fields)}, got {",".join(row)}'
            ) from error
    return cells


def append_cell(path: Path, cell: Cell) -> None:
    """Add a cell to the file in one write; a half line at its end is taken away first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding='utf-8') if path.is_file() else ''
    whole = text[: text.rfind('\n') + 1]
    if whole != text:
        path.write_text(whole, encoding='utf-8')
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='\n')
    if not whole:
        writer.writerow(Cell._fields)
    writer.writerow(cell)
    with path.open('a', encoding='utf-8') as file:
        file.write(buffer.getvalue())


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
