"""How many pixels are wrong near boundaries, and far from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mmattn.files import write_atomically
from mmattn.visualization.figures import png


def plot_error_by_distance(
    curves: Mapping[str, Sequence[float | None]], bins: Sequence[str], out_png: Path
) -> Path:
    """A line for each prediction; a bin without pixels has no point.

    Args:
        curves: Share of wrong pixels in each bin, in percent, by the name of the prediction.
        bins: Names of the bins.
        out_png: Picture to write.
    """
    figure = Figure(figsize=(8, 4), dpi=120, layout='constrained')
    ax = figure.add_subplot()
    for name, values in curves.items():
        points = [(place, value) for place, value in enumerate(values) if value is not None]
        ax.plot(*zip(*points, strict=True), marker='.', markersize=9, linewidth=2, label=name)
    ax.set_xticks(range(len(bins)), bins)
    ax.set_xlabel('distance to the nearest boundary of the ground truth (pixels)')
    ax.set_ylabel('wrong pixels (%)')
    ax.set_ylim(bottom=0)
    ax.spines[['top', 'right']].set_visible(False)
    ax.grid(color='0.9', linewidth=0.8)
    ax.legend(frameon=False)
    write_atomically(out_png, png(figure))
    return out_png
