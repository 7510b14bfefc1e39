"""Pictures of benchmarks."""

from collections.abc import Mapping

from matplotlib.figure import Figure

_BLUE = '#0072B2'
_MOST_BARS = 48  # that can be told apart
Points = Mapping[float, float]


def speed_up_figure(results: dict) -> Figure | None:
    """A bar for each side of each case: how many times as fast as the reference, with quartiles.

    None where nothing was compared, or more than can be told apart.
    """
    bars = [
        (', '.join([*case['labels'].values(), side]), *spread)
        for case in results['cases']
        for side, spread in case.get('speed-up', {}).items()
    ]
    if not 0 < len(bars) <= _MOST_BARS:
        return None
    figure = Figure(figsize=(8, 1 + 0.3 * len(bars)), dpi=120, layout='constrained')
    ax = figure.subplots()
    names, low, middle, high = zip(*reversed(bars), strict=True)
    errors = [
        [m - n for m, n in zip(middle, low, strict=True)],
        [n - m for m, n in zip(middle, high, strict=True)],
    ]
    ax.barh(names, middle, xerr=errors, color=_BLUE, ecolor='0.3')
    ax.axvline(1, color='0.3', linewidth=1)
    ax.set_xlabel(f'times as fast as {results["reference"]} (median and quartiles)')
    ax.spines[['top', 'right']].set_visible(False)
    return figure


def growth_figure(panels: Mapping[str, Mapping[str, Points]], label: str) -> Figure:
    """Curves on logarithmic axes.

    Args:
        panels: Of each the curves by name, values by what they grow with.
        label: What they grow with.
    """
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(11, 0.8 + 4 * rows), dpi=120, layout='constrained')
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for ax, (title, curves) in zip(axes, panels.items(), strict=False):
        for index, (name, points) in enumerate(curves.items()):
            x = sorted(points)
            marker = 'os^Dv<>PX*h'[index % 11]  # coprime to the 10 colours
            ax.loglog(x, [points[n] for n in x], marker=marker, markersize=4, label=name)
        ax.set_title(title)
        ax.set_xlabel(label)
        ax.grid(color='0.9', linewidth=0.8)
        ax.spines[['top', 'right']].set_visible(False)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc='outside lower center', ncols=5, frameon=False)
    return figure
