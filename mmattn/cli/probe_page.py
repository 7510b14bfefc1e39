"""The table of all probes, docs/probes.md, and its picture."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmattn.cli.probe_findings import findings, other_budgets, table_row
from mmattn.cli.probe_runs import ALL_MECHANISMS, read_results
from mmattn.cli.probe_trial import first_trial
from mmattn.errors import UserError
from mmattn.files import write_atomically
from mmattn.models.mechanisms import MECHANISMS
from mmattn.probes import NO_MECHANISM, PROBES, STEPS
from mmattn.probes.results import Cell, Summary, summarise
from mmattn.visualization.heat_map import plot_heat_map

PLANNED_SEEDS = (0, 1, 2)
_WITH_AVX512 = '0802fbc'  # ran on a processor that has it, before cells were limited to AVX2

_INTRODUCTION = """\
# Probes: what a mechanism can carry

Written by `mmattn probe --report` from [{source}]({link}); do not edit.

Images on a small budget cannot tell mechanisms apart; tasks that are made for it can. A map of
24 x 24 pixels goes through four local 3 x 3 convolutions of 32 channels with the mechanism, at its
defaults, between the second and the third. The class of the pixels that count is decided by
something outside their field of 9 x 9, so that only the mechanism can bring it. Classes are
balanced: chance is 50 %. The padding is circular: no border tells where a pixel lies. Training is
{steps} steps of 16 new images (Adam), the test 512 other images.

A probe says what a mechanism learns to bring in this net and in these steps. It does not say how
much it helps on photographs. Nor is a single start certain: NonLocal on *match* ended, from seed 0
and after 300 steps, at 99.7 %, and at 69.9 % with AVX512 (`mmattn.probes.run_probe`, which takes
what the processor has), since that adds the same numbers in another order. Seeds show such spread.
`mmattn probe` therefore trains each cell in one thread and with AVX2 at most: a cell is the same on
other x86 processors, as far as they were tried (AMD).

```bash
mmattn probe --jobs 8                         # all cells that are missing, on eight cores
mmattn probe NonLocal --probes match          # one of them
mmattn probe "CrissCross(recurrence=2)"       # with options
PYTHONPATH=mine mmattn probe MeanGate --import mean_gate --results mine/probes.csv   # of your own
mmattn probe --report                         # this page and the picture
```

([Your own attention](add_attention.md) has `mean_gate`.) No finished cell is lost when a run is
stopped: each is a line of the file.
"""


def write_report(results: Path, docs: Path | None = None) -> list[Path]:
    """Write the page and the picture of a file of results.

    Args:
        results: The CSV file.
        docs: The folder docs of the checkout; without it both files stand beside the results.

    Returns:
        The files.
    """
    page = docs / 'probes.md' if docs else results.with_suffix('.md')
    picture = docs / 'images' / 'probes.png' if docs else results.with_suffix('.png')
    cells = read_results(results)
    if not _summaries(cells):
        raise UserError(
            f'{results} holds no finished cell of {STEPS} steps; `mmattn probe` makes them'
        )
    link = f'../benchmarks/results/studies/{results.name}' if docs else results.name
    text = render_page(cells, link, picture.relative_to(page.parent).as_posix())
    write_atomically(page, text.encode())
    title = 'Accuracy on the probes, per cent (chance: 50; grey: not run)'
    plot_heat_map(*heat_map(cells), picture, title=title, limits=(50, 100))
    return [page, picture]


def heat_map(
    cells: Sequence[Cell],
) -> tuple[dict[str, list[str]], list[str], dict[tuple[str, str], float]]:
    """What the picture shows: groups of mechanisms, the probes, and per cent by both."""
    summaries = _summaries(cells)
    values = {key: 100 * summary.mean for key, summary in summaries.items()}
    return _groups(summaries), list(PROBES), values


def render_page(cells: Sequence[Cell], link: str, picture: str) -> str:
    """The text of the page; `link` and `picture` are paths from its folder."""
    summaries = _summaries(cells)
    intro = _INTRODUCTION.format(source=link.rpartition('/')[2], link=link, steps=STEPS)
    parts = [
        intro,
        '## What has been run\n\n' + _coverage(cells),
        f'![Accuracy of mechanisms and probes]({picture})\n',
        '## Accuracy\n\n'
        'Per cent, mean over the seeds, and in parentheses the 95 % confidence interval: over the '
        'test images (Wilson), and where there are two seeds or more over the seeds too (Student; '
        'the wider one counts). One seed leaves open what another start would give. A small number '
        'is that of the seeds. **Bold**: 98 % or more.\n\n' + ''.join(_accuracy_table(summaries)),
        '## The probes and what was expected\n\n'
        'The hypotheses were written before the first run, from what the papers claim and what '
        'the formulas exclude; they stand in `mmattn/probes/table.py`. Afterwards the tasks and '
        'the training were changed, until a mechanism or two learnt each in '
        '300 steps; the hypotheses were not. In *row*, *match* and *offset* an image has two '
        'pairs of query and cue since then, and had four; *statistic* and *second_order* have '
        'twenty dots, and had twelve; *position* and *region* show squares in place of single '
        'pixels, and the bars of *scale* have other sizes. The learning rate is another, too. '
        f'Training then had 300 steps; it has {STEPS} since the results of 300 showed that some '
        'mechanisms learn a probe from one seed and not from the next.\n\n'
        + _elimination()
        + ''.join(_probe_table()),
        '## Findings\n\n' + ''.join(findings(summaries)),
        '## Other numbers of steps\n\n' + ''.join(other_budgets(cells)),
        '## The first trial\n\n' + ''.join(first_trial(cells)),
    ]
    return '\n'.join(parts)


def _summaries(cells: Sequence[Cell]) -> dict[tuple[str, str], Summary]:
    """Those of the main table: by mechanism and probe, at the default number of steps."""
    return {
        (mechanism, probe): summary
        for (mechanism, probe, steps), summary in summarise(cells).items()
        if steps == STEPS
    }


def _coverage(cells: Sequence[Cell]) -> str:
    main = [cell for cell in cells if cell.steps == STEPS and cell.seed in PLANNED_SEEDS]
    planned = len(ALL_MECHANISMS) * len(PROBES) * len(PLANNED_SEEDS)
    done = len({cell.key for cell in main if cell.mechanism in ALL_MECHANISMS})
    absent = [f'`{name}`' for name in ALL_MECHANISMS if name not in {c.mechanism for c in main}]
    versions = sorted({f'mmattn {c.mmattn}, torch {c.torch}, Python {c.python}' for c in cells})
    commits = sorted({c.commit for c in cells if c.commit})
    run = f'{done} of {planned}' if done < planned else f'All {planned}'
    return (
        f'{run} cells ({len(ALL_MECHANISMS)} mechanisms and forms of them, {len(PROBES)} probes, '
        f'{len(PLANNED_SEEDS)} seeds)'
        + (f': **{planned - done} are missing.** ' if done < planned else '. ')
        + (f'Without any cell: {", ".join(absent)}. ' if absent else '')
        + f'Commits {", ".join(commits)}; {"; ".join(versions)}; CPU, '
        f'{sum(c.seconds for c in cells) / 3600:.1f} hours in all.'
        f'{_of_wide_instructions(cells)}\n'
    )


def _of_wide_instructions(cells: Sequence[Cell]) -> str:
    wide = [c for c in cells if c.commit == _WITH_AVX512]
    steps = ' and '.join(map(str, sorted({c.steps for c in wide})))
    text = f' Those of commit {_WITH_AVX512}, {len(wide)} cells of {steps} steps, had AVX512.'
    return text if wide else ''


def _accuracy_table(summaries: dict[tuple[str, str], Summary]) -> Iterator[str]:
    yield table_row('mechanism', *PROBES)
    yield table_row('---', *['---:'] * len(PROBES))
    for group in _groups(summaries).values():
        for name in group:
            yield table_row(f'`{name}`', *(_cell(summaries.get((name, probe))) for probe in PROBES))


def _cell(summary: Summary | None) -> str:
    if summary is None:
        return 'not run'
    mean = f'{100 * summary.mean:.1f}'
    mean = f'**{mean}**' if summary.solved else mean
    return (
        f'{mean} ({100 * summary.low:.0f} to {100 * summary.high:.0f}) <sup>{summary.seeds}</sup>'
    )


def _elimination() -> str:
    """What follows from balanced classes where an image has two."""
    names = [f'*{probe.name}*' for probe in PROBES.values() if probe.classes == 2]
    return (
        f'In {", ".join(names[:-1])} and {names[-1]} each image shows both classes, one of each. '
        'So no statistic over both tells a query anything, but the other one of the two tells as '
        "much as one's own: what brings the cue of the other query, and knows that it is not its "
        'own, is right by elimination, with the opposite class. By this way alone, too, all '
        'queries can be answered: a probe that is solved shows that two cues are told apart, and '
        'not which of them is brought. What sees only the cues within four rows or columns of a '
        'query (one step along rows and columns) can get 75 % on *offset*, all by elimination: '
        'there half of the queries see the other cue, and none its own. On *match* it can get '
        '88 %: 46 % of the queries see their own cue, 76 % one of the two. On *two_steps* none '
        'sees any.\n\n'
    )


def _probe_table() -> Iterator[str]:
    yield table_row(
        'probe', 'what decides the class', 'expectation', 'should solve it', 'should fail'
    )
    yield table_row(*['---'] * 5)
    for probe in PROBES.values():
        names = (', '.join(f'`{n}`' for n in group) for group in (probe.carry, probe.fail))
        yield table_row(f'**{probe.name}**', probe.question, probe.hypothesis, *names)


def _groups(summaries: dict[tuple[str, str], Summary]) -> dict[str, list[str]]:
    """Mechanisms with a result, by what they attend over, those with similar rows side by side."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name, _ in summaries):
        groups.setdefault(_family(name), []).append(name)

    def profile(name: str) -> tuple:
        known = [summaries.get((name, probe)) for probe in PROBES]
        return tuple(round(s.mean, 1) if s else 0.5 for s in known), name

    order = ('none', *dict.fromkeys(row.attends for row in MECHANISMS.values()), 'of yours')
    return {f: sorted(groups[f], key=profile, reverse=True) for f in order if f in groups}


def _family(name: str) -> str:
    plain = re.match(r'\w+', name).group()
    if plain == NO_MECHANISM:
        return 'none'
    return MECHANISMS[plain].attends if plain in MECHANISMS else 'of yours'
