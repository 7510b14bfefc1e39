"""The picture of the differences of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmattn.studies.statistics import paired_difference
from mmattn.visualization.comparisons import Bar, plot_differences

CAPTION = (
    'Difference to the baseline: each seed (dots), their mean (line), and its 95 % confidence '
    'interval (bar). Grey: the interval holds 0, or there is one seed.'
)


def bars_of(
    pairs: Mapping[str, Sequence[tuple[float, float]]],
    notes: Mapping[str, Sequence[str]] | None = None,
) -> list[Bar]:
    """Of each variant with common seeds, the largest difference first.

    Args:
        pairs: By variant, score of the baseline and of the variant, for each seed that both have.
        notes: What stands beside it, by variant.
    """
    bars = []
    for name, each in pairs.items():
        found = paired_difference(each)
        if found:
            dots = [second - first for first, second in each]
            beside = (notes or {}).get(name, ())
            bars.append(Bar(name, found.mean, found.low, found.high, dots, beside))
    return sorted(bars, key=lambda bar: bar.mean, reverse=True)


def draw_differences(
    bars: Sequence[Bar], baseline: str, out_png: Path, headings: Sequence[str] = ()
) -> Path:
    """The mIoU of variants minus that of the baseline, and notes under their headings."""
    label = f'mIoU minus that of the baseline {baseline!r} (points)'
    return plot_differences(bars, out_png, label=label, headings=headings)
