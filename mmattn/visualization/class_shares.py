"""The share of each class in the pixels of data sets, as bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from mmattn.files import write_atomically
from mmattn.visualization.figures import png


class Counted(Protocol):
    """What was counted of a data set."""

    place: str
    classes: tuple[str, ...]
    pixels: np.ndarray  # (classes + 1,), the last one void


def plot_class_shares(data_sets: Sequence[Counted], out_png: Path) -> None:
    """Draw a bar for each class and, last, void; beside each other those of several data sets.

    The axis is logarithmic: rare classes are what one looks for.
    """
    names = [*data_sets[0].classes, 'void']
    figure = Figure(figsize=(2 + 0.45 * len(names), 4), dpi=120, layout='constrained')
    ax = figure.add_subplot()
    width = 0.8 / len(data_sets)
    for index, data in enumerate(data_sets):
        shares = 100 * data.pixels / max(data.pixels.sum(), 1)
        places = np.arange(len(names)) + (index - (len(data_sets) - 1) / 2) * width
        ax.bar(places, shares, width, label=data.place.removesuffix('.dataset'))
    ax.set_yscale('log')
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter('{x:g} %')
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xticks(range(len(names)), names, rotation=45, ha='right', rotation_mode='anchor')
    ax.set_title('Share of each class in the pixels', loc='left')
    ax.spines[['top', 'right']].set_visible(False)
    ax.grid(axis='y', alpha=0.3)
    figure.legend(loc='outside upper right', ncols=len(data_sets), frameon=False)
    write_atomically(out_png, png(figure))
