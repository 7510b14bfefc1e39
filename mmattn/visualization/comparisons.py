"""Pictures of a comparison: differences, accuracy against cost, the curves of all runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib import colormaps
from matplotlib.figure import Figure

from mmattn.files import write_atomically
from mmattn.visualization.curves import Curve
from mmattn.visualization.figures import png

_NOTE = 65  # points that a column of notes is wide


class Bar(NamedTuple):
    """A difference with its interval; None for ends that are not known.

    The notes stand beside it, one under each heading that the picture has for them.
    """

    name: str
    mean: float
    low: float | None
    high: float | None
    values: Sequence[float]
    notes: Sequence[str] = ()


class Point(NamedTuple):
    """A variant: what it costs, and what it scores."""

    name: str
    cost: float
    score: float
    sd: float | None


def plot_differences(
    bars: Sequence[Bar], out_png: Path, *, label: str, headings: Sequence[str] = ()
) -> Path:
    """A row for each variant: its seeds as dots, their mean, the 95 % interval, and its notes.

    The file carries the numbers that it shows, as `numbers` writes them.
    """
    size = 8 + _NOTE / 72 * len(headings), 1.4 + 0.24 * len(bars)
    figure = Figure(figsize=size, dpi=120, layout='constrained')
    ax = figure.add_subplot()
    ax.axvline(0, color='0.4', linewidth=1)
    for y, bar in enumerate(reversed(bars)):
        shown = bar.low is not None and not bar.low <= 0 <= bar.high
        colour = '#0072B2' if shown else '0.55'
        if bar.low is not None:
            ends = [bar.low, bar.high]
            ax.plot(ends, [y, y], color=colour, linewidth=8, alpha=0.4, solid_capstyle='butt')
        ax.plot(bar.mean, y, '|', color=colour, markersize=14, markeredgewidth=3)
        ax.plot(bar.values, [y] * len(bar.values), '.', color='0.1', markersize=7)
    ax.set_yticks(range(len(bars)), [bar.name for bar in reversed(bars)])
    ax.set_ylim(-0.6, len(bars) - 0.4)
    ax.set_xlabel(label)
    for column, heading in enumerate(headings, 1):
        of_bars = [bar.notes[column - 1] if bar.notes else '' for bar in reversed(bars)]
        for y, text in enumerate([*of_bars, heading]):
            ax.annotate(
                text,
                (1, y),
                (column * _NOTE, 0),
                xycoords=ax.get_yaxis_transform(),
                textcoords='offset points',
                ha='right',
                va='center',
            )
    _style(ax)
    return _save(figure, out_png, {'Description': numbers(bars)})


def numbers(bars: Sequence[Bar]) -> str:
    """JSON of what a picture of differences shows, to 0.001 points."""
    return json.dumps([list(map(_rounded, bar)) for bar in bars])


def _rounded(value: str | float | Sequence | None) -> str | float | list | None:
    if isinstance(value, str | None):
        return value
    return list(map(_rounded, value)) if isinstance(value, Sequence) else round(value, 3)


def plot_against_costs(panels: Mapping[str, Sequence[Point]], out_png: Path, *, label: str) -> Path:
    """Scores over costs, one panel for each kind of cost, which is the label of its axis."""
    figure = Figure(figsize=(5 * len(panels), 4), dpi=120, layout='constrained')
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (cost, points) in zip(axes, panels.items(), strict=True):
        for point, colour in zip(points, _colours(len(points)), strict=True):
            ax.errorbar(point.cost, point.score, yerr=point.sd, fmt='o', color=colour, capsize=3)
            ax.annotate(
                point.name, (point.cost, point.score), (6, 4), textcoords='offset points', size=9
            )
        ax.margins(x=0.2)
        ax.ticklabel_format(useOffset=False)
        costs = [point.cost for point in points]
        if max(costs) < 1.02 * min(costs):  # as good as equal: not spread over the whole axis
            ax.set_xlim(0.9 * min(costs), 1.1 * max(costs))
        ax.set_xlabel(cost)
        _style(ax)
    axes[0].set_ylabel(label)
    return _save(figure, out_png)


def plot_all_curves(runs: Mapping[str, Sequence[tuple[Curve, Curve]]], out_png: Path) -> Path:
    """Loss and validation mIoU of all runs; those of a variant have one colour.

    Args:
        runs: Of each variant, (loss, mIoU) of each seed.
    """
    figure = Figure(figsize=(8, 6), dpi=120, layout='constrained')
    axes = figure.subplots(2, sharex=True)
    for (name, curves), colour in zip(runs.items(), _colours(len(runs)), strict=True):
        for seed, pair in enumerate(curves):
            for ax, curve in zip(axes, pair, strict=True):
                steps = sorted(curve)
                ax.plot(
                    steps,
                    [curve[step] for step in steps],
                    color=colour,
                    linewidth=1.2,
                    alpha=0.8,
                    marker='.' if ax is axes[1] else None,
                    label=name if seed == 0 and ax is axes[1] else None,
                )
    axes[0].set_ylabel('training loss')
    axes[1].set_ylabel('validation mIoU (%)')
    axes[1].set_xlabel('iteration')
    for ax in axes:
        _style(ax)
    figure.legend(loc='outside upper center', ncols=5, frameon=False)
    return _save(figure, out_png)


def _colours(count: int) -> list:
    """Ten that are easily told apart, or as many as are needed along a scale."""
    if count <= 10:
        return list(colormaps['tab10'].colors[:count])
    return [colormaps['turbo'](0.05 + 0.9 * i / (count - 1)) for i in range(count)]


def _style(ax) -> None:
    ax.spines[['top', 'right']].set_visible(False)
    ax.grid(color='0.9', linewidth=0.8)
    ax.set_axisbelow(True)


def _save(figure: Figure, out_png: Path, texts: Mapping[str, str] | None = None) -> Path:
    write_atomically(out_png, png(figure, texts))
    return out_png
