"""What was seen of the data sets, as a text of a few lines for people."""

import os
import textwrap
from dataclasses import dataclass

import numpy as np

WIDTH = 100  # columns
MOST_NAMES = 12  # classes named in one line


@dataclass(frozen=True)
class DataSummary:
    """One data set: its files, and the sizes and labels of those that were decoded."""

    place: str  # in the config: train_dataloader.dataset
    kind: str  # its type
    folder: str  # of its images
    img_suffix: str
    classes: tuple[str, ...]
    images: int
    looked_at: int
    sizes: frozenset[tuple[int, int]]  # of the images looked at: width, height
    labelled: bool
    pixels: np.ndarray  # (classes + 1,) number of pixels of each class and of void
    all_void: tuple[str, ...]  # labels without a pixel of any class
    unused: dict[str, list[str]]  # reason -> files of the folders

    def __str__(self) -> str:
        rows = [('folder', self.folder), ('size', _size(self.sizes))]
        if self.labelled:
            shares = self.pixels / self.pixels.sum()
            order = [index for index in np.argsort(-shares[:-1], kind='stable') if shares[index]]
            present = [f'{self.classes[index]} {percent(shares[index])}' for index in order]
            absent = [self.classes[index] for index in np.flatnonzero(self.pixels[:-1] == 0)]
            rows += [('classes', shortened(present)), ('absent', shortened(absent))]
            rows.append(('void', percent(shares[-1])))
        for reason, files in self.unused.items():
            rows.append(('not used', f'{len(files)} {reason} ({os.path.basename(files[0])})'))
        return '\n'.join([self._title(), *(_row(*row) for row in rows if row[1])])

    def _title(self) -> str:
        labels = 'with' if self.labelled else 'without'
        looked_at = 'all' if self.looked_at == self.images else f'{self.looked_at} of them'
        return (
            f'{self.place} ({self.kind}): {self.images} images {labels} labels, '
            f'{looked_at} looked at'
        )


@dataclass(frozen=True)
class DataReport:
    """What to show of the data sets before a run."""

    summaries: tuple[DataSummary, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: 'DataReport') -> 'DataReport':
        return DataReport(self.summaries + other.summaries, self.warnings + other.warnings)

    def __str__(self) -> str:
        if not self.summaries:
            return 'data: not checked'
        return '\n'.join([*map(str, self.summaries), *(f'warning: {w}' for w in self.warnings)])


def percent(share: float) -> str:
    return '<0.1%' if 0 < share < 0.0005 else f'{share:.1%}'


def shortened(names: list[str]) -> str:
    """The names, or of a long list the first ones and the number of the others."""
    if len(names) > MOST_NAMES:
        shown = MOST_NAMES - 4
        names = [*names[:shown], f'{len(names) - shown} more']
    return ', '.join(names)


def _row(title: str, text: str) -> str:
    indent = f'  {title:<10}'
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=' ' * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _size(sizes: frozenset[tuple[int, int]]) -> str:
    widths, heights = ({size[axis] for size in sizes} for axis in (0, 1))
    if len(sizes) == 1:
        return f'{min(widths)}x{min(heights)} (width x height)'
    return f'{min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high'
