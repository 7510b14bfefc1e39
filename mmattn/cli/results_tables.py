"""The tables of docs/results.md, from the rows of finished runs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from mmattn.cli.probe_findings import table_row
from mmattn.studies.evidence import EvidenceRow
from mmattn.studies.statistics import FEWEST_SEEDS, Difference, paired_difference
from mmattn.studies.tables import score

Variants = Mapping[str, Mapping[int, EvidenceRow]]  # variant -> seed -> row


def variant_table(variants: Variants, baseline: str | None) -> str:
    """A row for each variant, the best one first; parameters beyond those of the baseline."""
    compared = baseline in variants
    seeds = sorted({row.seed for row in rows_of(variants)})
    header = ['variant', 'parameters', *(f'seed {seed}' for seed in seeds), 'mIoU']
    header += [f'minus `{baseline}`'] if compared else []
    lines = [[*header, 'time of a run']]
    lines.append(['---'] * len(lines[0]))
    base = _rows(variants[baseline])[0].parameters if compared else None
    for variant in _best_first(variants):
        scores, rows = scores_of(variants[variant]), _rows(variants[variant])
        seconds = [row.seconds for row in rows if row.seconds is not None]
        lines.append(
            [
                f'`{variant}`',
                _parameters(rows[0].parameters, base if variant != baseline else None),
                *(f'{scores[seed]:.2f}' if seed in scores else '' for seed in seeds),
                score(list(scores.values())),
                *([_words(variants, baseline, variant)] if compared else []),
                _duration(fmean(seconds)) if seconds else 'not noted',
            ]
        )
    return ''.join(table_row(*line) for line in lines)


def _parameters(number: int | None, baseline: int | None) -> str:
    """Those of a model, or what it has beyond the baseline."""
    if number is None:
        return 'not counted'
    return f'{number:,}' if baseline is None else f'{number - baseline:+,}'


def class_table(variants: Variants, groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """IoU of each class and of groups of classes, mean over seeds, where it was measured."""
    known = {
        name: [json.loads(row.class_iou) for row in _rows(variants[name]) if row.class_iou]
        for name in _best_first(variants)
    }
    known = {name: found for name, found in known.items() if found}
    if not known:
        return
    classes = next(iter(known.values()))[0]
    wanted = {f'**{name}**': members for name, members in groups.items()}
    wanted |= {name: [name] for name in classes}
    lines = [['variant', *wanted], ['---'] * (len(wanted) + 1)]
    for variant, found in known.items():
        values = ([each.get(name) for each in found for name in names] for names in wanted.values())
        lines.append([f'`{variant}`', *map(_mean, values)])
    bold = 'Bold: the mean of a group of classes.' if groups else ''
    yield (
        f'IoU of each class, mean over seeds. {bold}'.strip()
        + '\n\n'
        + ''.join(table_row(*line) for line in lines)
    )


def _mean(values: Iterable[float | None]) -> str:
    present = [value for value in values if value is not None]
    return f'{fmean(present):.2f}' if present else 'no pixels'


def _words(variants: Variants, baseline: str, variant: str) -> str:
    found = difference_to(variants, baseline, variant)
    if variant == baseline or found is None:
        return '' if variant == baseline else 'no common seed'
    if found.seeds < FEWEST_SEEDS:
        return f'{found.mean:+.2f} (no interval)'
    return f'{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})'


def difference_to(variants: Variants, baseline: str, variant: str) -> Difference | None:
    """Of a variant to the baseline, over the seeds that both have; None where there are none."""
    if variant == baseline or baseline not in variants:
        return None
    return paired_difference(_pairs(variants, baseline, variant))


def pairs_of(variants: Variants, baseline: str) -> dict[str, list[tuple[float, float]]]:
    """Scores of the baseline and of each variant that has enough seeds with it for an interval."""
    compared = [name for name in variants if name != baseline and baseline in variants]
    pairs = {name: _pairs(variants, baseline, name) for name in compared}
    return {name: each for name, each in pairs.items() if len(each) >= FEWEST_SEEDS}


def _pairs(variants: Variants, baseline: str, variant: str) -> list[tuple[float, float]]:
    first, second = scores_of(variants[baseline]), scores_of(variants[variant])
    return [(first[seed], second[seed]) for seed in second if seed in first]


def _best_first(variants: Variants) -> list[str]:
    return sorted(variants, key=lambda name: -fmean(scores_of(variants[name]).values()))


def _rows(seeds: Mapping[int, EvidenceRow]) -> list[EvidenceRow]:
    return [seeds[seed] for seed in sorted(seeds)]


def rows_of(variants: Variants) -> list[EvidenceRow]:
    return [row for seeds in variants.values() for row in _rows(seeds)]


def scores_of(seeds: Mapping[int, EvidenceRow]) -> dict[int, float]:
    return {row.seed: row.miou for row in _rows(seeds)}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest} s'
