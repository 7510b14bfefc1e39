"""Loss and mIoU over iterations, from the scalars that mmengine's LocalVisBackend writes."""

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, Locator, MaxNLocator, StrMethodFormatter

from mmattn.errors import UserError
from mmattn.evaluation.scores import miou_of
from mmattn.files import write_atomically
from mmattn.visualization.figures import png

# Blue and vermilion of Okabe and Ito's palette: told apart with every kind of colour blindness.
LOSS_COLOUR, MIOU_COLOUR = '#0072B2', '#D55E00'

MAX_TICKS = 8

Curve = dict[int, float]  # iteration -> value


def plot_curves(scalars_json: Path | Sequence[Path], out_png: Path) -> Path:
    """Draw training loss and validation mIoU over iterations into one PNG.

    Args:
        scalars_json: ``vis_data/scalars.json`` of a run, or those of its starts, oldest first:
            mmengine makes a new folder at every start, so a resumed run has several.
        out_png: picture to write; its folder is made where it is missing.

    Returns:
        ``out_png``.

    Raises:
        UserError: if a file is missing or holds a line that is not JSON, or if there is neither a
            loss nor an mIoU in any of them.
    """
    paths = [scalars_json] if isinstance(scalars_json, (str, Path)) else scalars_json
    loss, miou = read_curves([Path(path) for path in paths])
    if not loss and not miou:
        raise UserError(
            f'nothing to plot: no `loss` and no `mIoU` in {", ".join(map(str, paths)) or "no file"}'
            '; a run logs its first loss after `default_hooks.logger.interval` iterations'
        )
    write_atomically(Path(out_png), png(curve_figure(loss, miou)))
    return Path(out_png)


def read_curves(paths: Sequence[Path]) -> tuple[Curve, Curve]:
    """Loss and mIoU of a run, from the scalars of its starts, oldest first.

    Each start replaces what earlier ones did from its first iteration on: what an interrupted run
    did after its last checkpoint has no part in the model that follows. An mIoU that is not a
    number (no class had a pixel) is left out.
    """
    loss, miou = {}, {}
    for new_loss, new_miou in map(_read, paths):
        if new_loss:
            begin = min(new_loss)
            loss = {step: value for step, value in loss.items() if step < begin}
            miou = {step: value for step, value in miou.items() if step < begin}
        loss |= new_loss
        miou |= {step: value for step, value in new_miou.items() if math.isfinite(value)}
    return loss, miou


def curve_figure(loss: Curve, miou: Curve) -> Figure:
    """Loss above mIoU over one axis of iterations; only one of them where the other is empty.

    The ticks are iterations of validations, so that each labelled place has its point.
    """
    plots = [(draw, curve) for draw, curve in ((_draw_loss, loss), (_draw_miou, miou)) if curve]
    figure = Figure(figsize=(8, 0.6 + 2.7 * len(plots)), dpi=120, layout='constrained')
    axes = figure.subplots(len(plots), sharex=True, squeeze=False)[:, 0]
    for ax, (draw, curve) in zip(axes, plots, strict=True):
        _style(ax)
        draw(ax, curve)
        # Above the axes: there it hides no part of any curve.
        ax.legend(loc='lower right', bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    axes[-1].set_xlabel('iteration')
    axes[-1].set_xlim(0, max([*loss, *miou]) * 1.02 or 1)
    axes[-1].xaxis.set_major_locator(_tick_locator(miou))  # the axis is shared, and so are these
    return figure


def _read(path: Path) -> tuple[Curve, Curve]:
    """Loss and mIoU of one start of a run; a line carries one of them, or neither."""
    loss, miou = {}, {}
    try:
        lines = path.read_text(encoding='utf-8').splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'cannot read the curves of {path}: {error}') from error
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
            for value, curve in ((values.get('loss'), loss), (miou_of(values), miou)):
                if value is not None:
                    curve[int(values['step'])] = float(value)
        except (ValueError, TypeError, KeyError) as error:
            if not line.endswith('\n'):
                break  # the process ended while it wrote this line
            raise UserError(
                f'{path}, line {number}: expected a JSON object with a `step`, as mmengine writes '
                f'it to vis_data/scalars.json, got {line.strip()[:60]!r}'
            ) from error
    return loss, miou


def _smooth(values: np.ndarray) -> np.ndarray:
    """Centred mean of (N,) values over about a tenth of them.

    At the start the window shrinks and stays centred, so the first fall is not flattened; at the
    end it loses its right side only, so the last values do not pull the line alone. Values that
    are not finite (a diverged loss) stay gaps and count for no neighbour.
    """

    def mean(i: int) -> float:
        half = min(len(values) // 20, i)
        window = values[i - half : i + half + 1]
        return window[np.isfinite(window)].mean() if np.isfinite(values[i]) else np.nan

    return np.array([mean(i) for i in range(len(values))])


def _tick_locator(miou: Curve) -> Locator:
    """Every n-th validation, n a round number; round iterations in a run without validations."""
    if not miou:
        return MaxNLocator(nbins=MAX_TICKS, integer=True)
    steps = sorted(miou)
    strides = (n * 10**power for power in itertools.count() for n in (1, 2, 4, 5))
    stride = next(n for n in strides if len(steps) // n <= MAX_TICKS)
    return FixedLocator(steps[stride - 1 :: stride])


def _style(ax: Axes) -> None:
    ax.spines[['top', 'right']].set_visible(False)
    ax.grid(color='0.9', linewidth=0.8)
    ax.set_axisbelow(True)
    ax.xaxis.set_major_formatter(StrMethodFormatter('{x:,.0f}'))


def _draw_loss(ax: Axes, loss: Curve) -> None:
    steps = sorted(loss)
    values = np.array([loss[step] for step in steps])
    if len(values) < 20:  # nothing to smooth
        ax.plot(steps, values, color=LOSS_COLOUR, linewidth=2, marker='.', label='logged')
    else:
        ax.plot(steps, values, color=LOSS_COLOUR, alpha=0.35, linewidth=1, label='logged')
        ax.plot(steps, _smooth(values), color=LOSS_COLOUR, linewidth=2, label='smoothed')
    ax.set_ylabel('training loss')
    ax.set_ylim(bottom=0)


def _draw_miou(ax: Axes, miou: Curve) -> None:
    steps = sorted(miou)
    best = max(steps, key=miou.__getitem__)
    ax.plot(steps, [miou[step] for step in steps], color=MIOU_COLOUR, linewidth=2, marker='.')
    ax.plot(
        best,
        miou[best],
        color=MIOU_COLOUR,
        linestyle='none',
        marker='*',
        markersize=16,
        markeredgecolor='white',
        label=f'best: {miou[best]:.2f} % at iteration {best:,}',
    )
    ax.set_ylabel('validation mIoU (%)')
    ax.margins(y=0.1)
    ax.set_ylim(bottom=max(0, ax.get_ylim()[0]))
