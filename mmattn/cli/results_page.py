"""The page of what was measured, docs/results.md, from the rows of finished runs."""

import shlex
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from textwrap import fill

from mmengine.config import Config

from mmattn.cli.results_tables import (
    Variants,
    class_table,
    pairs_of,
    rows_of,
    scores_of,
    variant_table,
)
from mmattn.cli.results_text import BY_HAND, INTRODUCTION, SECTIONS, Scores
from mmattn.cli.zoo_page import counted
from mmattn.errors import UserError
from mmattn.models.mechanisms import TABLE
from mmattn.studies.drawing import CAPTION, bars_of, draw_differences
from mmattn.studies.evidence import EvidenceRow, current, read_evidence
from mmattn.studies.report_text import by_chance, listed, number_of, verdict
from mmattn.studies.statistics import paired_difference
from mmattn.visualization.comparisons import Bar

FOLDER = 'benchmarks/results/studies'
WIDTH = 100  # of the lines of a text with figures
_PICTURE = 'images/study_{}.png'  # from the folder of the page
_COSTS = ('parameters', 'MACs', 'memory')  # of a mechanism, counted
_ORIGIN = ('commit', 'versions', 'machine', 'note')


def render_results(root: Path) -> str:
    """The text of docs/results.md.

    Args:
        root: The checkout.

    Raises:
        UserError: A file that is none of rows, or rows of a study that the checkout does not have.
    """
    files = {path.stem: path for path in evidence_files(root)}
    order = [*SECTIONS, *(name for name in files if name not in SECTIONS)]
    parts = [_section(root, files[name]) for name in order if name in files]
    return '\n'.join([INTRODUCTION, *parts])


def evidence_files(root: Path) -> list[Path]:
    """Those with rows of runs; the folder has tables of other columns too."""
    header = ','.join(EvidenceRow._fields)
    files = sorted((root / FOLDER).glob('*.csv'))
    return [path for path in files if path.read_text(encoding='utf-8').startswith(f'{header}\n')]


def draw_results(root: Path) -> list[Path]:
    """Draw the pictures of docs/results.md, and return them."""
    return [
        draw_differences(bars, name, path, _COSTS if any(bar.notes for bar in bars) else ())
        for path, (name, bars) in pictures(root).items()
    ]


def pictures(root: Path) -> dict[Path, tuple[str, list[Bar]]]:
    """Where the picture of each study with intervals lies, its baseline, and what it shows."""
    found = {}
    for rows in map(read_evidence, evidence_files(root)):
        for name in dict.fromkeys(row.study for row in rows if row.study not in BY_HAND):
            study = _study_file(root, name)
            variants = current(row for row in rows if row.study == name)
            pairs, told = pairs_of(variants, study.baseline), _told_by_one(study)
            costs = {variant: counted(told[variant]) for variant in pairs if variant in told}
            if bars := bars_of(pairs, costs):
                found[root / 'docs' / _PICTURE.format(name)] = study.baseline, bars
    return found


def _told_by_one(study: Config) -> dict[str, dict]:
    """The settings of the mechanism of each variant that is told by one."""
    changes = (study.get('variants') or {}).items()
    found = {name: list(_mechanisms(change)) for name, change in changes}
    return {name: each[0] for name, each in found.items() if len(each) == 1}


def _mechanisms(changes: object) -> Iterator[dict]:
    """The settings of mechanisms within those of a variant."""
    if isinstance(changes, dict) and changes.get('type') in TABLE:
        yield changes
    elif isinstance(changes, dict | list):
        for each in changes.values() if isinstance(changes, dict) else changes:
            yield from _mechanisms(each)


def _section(root: Path, file: Path) -> str:
    """All tables of a file, those of studies first."""
    title, introduction = SECTIONS.get(file.stem, (file.stem.replace('_', ' '), ''))
    rows = read_evidence(file)
    names = dict.fromkeys(row.study for row in rows)
    order = [*(name for name in names if name not in BY_HAND), *(n for n in BY_HAND if n in names)]
    sets = {name: current(row for row in rows if row.study == name) for name in order}
    scores = {
        name: {variant: scores_of(seeds) for variant, seeds in variants.items()}
        for name, variants in sets.items()
    }
    parts = [f'## {title}\n', *([introduction] if introduction else [])]
    for name, variants in sets.items():
        render = _by_hand if name in BY_HAND else _study
        parts += render(root, name, variants, scores)
        earlier = sum(row.study == name for row in rows) - sum(map(len, variants.values()))
        parts += [_origin(file, variants, earlier)]
    return '\n'.join(parts)


def _by_hand(root: Path, name: str, variants: Variants, scores: Scores) -> Iterator[str]:
    trainings = BY_HAND[name]
    if trainings.title:
        yield f'### {trainings.title}\n'
    yield variant_table(variants, trainings.baseline)
    yield '\n\n'.join(fill(text, WIDTH) for text in trainings.words(scores).split('\n\n')) + '\n'
    yield _commands(_training(name, seeds[min(seeds)]) for seeds in variants.values())


def _study_file(root: Path, name: str) -> Config:
    file = root / 'configs/studies' / f'{name}.py'
    if not file.is_file():
        raise UserError(f'{FOLDER} has rows of study {name}, but there is no {file}')
    return Config.fromfile(file, import_custom_modules=False)


def _study(root: Path, name: str, variants: Variants, scores: Scores) -> Iterator[str]:
    study = _study_file(root, name)
    yield f'### {study.question}\n'
    yield (
        'Variants of one seed share the order of the data, the augmentations, and the initial '
        'weights of the layers of the same name and shape.\n'
    )
    total = len(study.get('variants') or {})
    total += prod(map(len, study.grid)) if study.get('grid') else 0
    if len(variants) < total:
        yield f'{len(variants)} of its {total} variants have been run.\n'
    found = {
        variant: paired_difference(pairs)
        for variant, pairs in pairs_of(variants, study.baseline).items()
    }
    if found:
        lines = [f'- {verdict(variant, study.baseline, d)}' for variant, d in found.items()]
        yield '\n'.join([*lines, *(['', by_chance(len(found))] if len(found) > 1 else []), ''])
        yield f'![{CAPTION}]({_PICTURE.format(name)})\n'
        if found.keys() & _told_by_one(study).keys():
            yield (
                'The costs beside the bars are those of the mechanism alone, on the map of '
                '[the table of all mechanisms](zoo.md).\n'
            )
    yield variant_table(variants, study.baseline)
    yield from class_table(variants, study.get('class_groups') or {})
    seeds = ' '.join(map(str, sorted({row.seed for row in rows_of(variants)})))
    options = dict.fromkeys(row.options for row in rows_of(variants))
    yield _commands(f'mmattn ablate {name} --seeds {seeds} {each}'.strip() for each in options)


def _origin(file: Path, variants: Variants, earlier: int) -> str:
    """Where the rows come from."""
    rows = rows_of(variants)
    seeds = ', '.join(map(str, sorted({row.seed for row in rows})))
    lines = [f'rows: [{file.name}](../{FOLDER}/{file.name})', f'seeds: {seeds}']
    for key in _ORIGIN:
        if key != 'note' or any(row.note for row in rows):
            lines.append(f'{key}: {listed(getattr(row, key) for row in rows)}')
    if earlier:
        lines.append(
            f'not counted: {number_of(earlier, "row")} of earlier configs, or of other options'
        )
    return ''.join(f'- {line}\n' for line in lines)


def _training(name: str, row: EvidenceRow) -> str:
    if not row.options:
        return f'# {row.variant}: the options were not kept; the config is {row.config}'
    place = shlex.quote(f'work_dirs/{name}/{row.variant}')
    return f'mmattn train {row.config} --work-dir {place} --seed {row.seed} {row.options}'


def _commands(lines: Iterable[str]) -> str:
    return '\n'.join(['```bash', *lines, '```', ''])
