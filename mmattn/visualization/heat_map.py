"""A table of percentages as a picture, its rows in groups."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mmattn.files import write_atomically
from mmattn.visualization.figures import png


def plot_heat_map(
    groups: Mapping[str, Sequence[str]],
    columns: Sequence[str],
    values: Mapping[tuple[str, str], float],
    out_png: Path,
    *,
    title: str,
    limits: tuple[float, float],
    label: str = 'accuracy (%)',
    colours: str = 'viridis',
    form: str = '.0f',
    extend: str = 'min',
) -> Path:
    """Draw one cell for each row and column, with its number in it; cells without one stay grey.

    The file carries the numbers that it shows, as `numbers` writes them.

    Args:
        groups: Names of the groups, which stand at the right, and the rows of each.
        columns: Names of the columns.
        values: Percentage by row and column.
        out_png: Picture to write.
        title: Line above the picture.
        limits: Percentages at the two ends of the colours.
        label: What the numbers are.
        colours: Name of a colour map of matplotlib.
        form: Of the numbers in the cells.
        extend: At which ends numbers go beyond the colours: min, max, both or neither.
    """
    rows = [row for group in groups.values() for row in group]
    figure = Figure(
        figsize=(4.2 + 0.85 * len(columns), 1.6 + 0.3 * len(rows)), dpi=120, layout='constrained'
    )
    ax = figure.add_subplot()
    norm = Normalize(*limits)
    table = [[values.get((row, column), float('nan')) for column in columns] for row in rows]
    ax.set_facecolor('0.88')
    image = ax.imshow(table, cmap=colours, norm=norm, aspect='auto')
    for y, line in enumerate(table):
        for x, value in enumerate(line):
            if value == value:  # not the NaN of a missing cell
                dark = _luminance(colormaps[colours](norm(value))) < 0.5
                ink = 'w' if dark else 'k'
                ax.text(x, y, format(value, form), ha='center', va='center', color=ink)
    ax.set_xticks(range(len(columns)), columns, rotation=30, ha='left')
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    _name_groups(ax, groups)
    ax.set_title(title, loc='left', fontsize=10)
    figure.colorbar(image, ax=ax, label=label, fraction=0.03, extend=extend)
    texts = {'Description': numbers(groups, columns, values)}
    write_atomically(Path(out_png), png(figure, texts))
    return Path(out_png)


def numbers(
    groups: Mapping[str, Sequence[str]],
    columns: Sequence[str],
    values: Mapping[tuple[str, str], float],
) -> str:
    """JSON of what a heat map shows: of each group its rows, to 0.001 points, null where none is.

    The arguments are those of `plot_heat_map`.
    """

    def row(name: str) -> list[str | float | None]:
        cells = (values.get((name, column)) for column in columns)
        return [name, *(None if x is None or x != x else round(float(x), 3) for x in cells)]

    shown = {group: [row(name) for name in names] for group, names in groups.items()}
    return json.dumps({'columns': list(columns), 'groups': shown})


def _luminance(colour: tuple[float, ...]) -> float:
    """Of an RGB colour, as ITU-R BT.601 weighs its parts."""
    return sum(w * part for w, part in zip((0.299, 0.587, 0.114), colour, strict=False))


def _name_groups(ax, groups: Mapping[str, Sequence[str]]) -> None:
    begin = 0
    for name, group in groups.items():
        if begin:
            ax.axhline(begin - 0.5, color='w', linewidth=4)
        place = begin + (len(group) - 1) / 2
        ax.annotate(
            name,
            (1, place),
            xycoords=('axes fraction', 'data'),
            xytext=(8, 0),
            textcoords='offset points',
            va='center',
            fontweight='bold',
            color='0.35',
        )
        begin += len(group)
