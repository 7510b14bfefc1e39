"""Hypotheses of the probes against their results, and what other numbers of steps change."""

from collections.abc import Iterator, Sequence

from mmattn.cli.probe_notes import NOTES, UNFORESEEN, listed
from mmattn.probes import PROBES, STEPS
from mmattn.probes.results import Cell, Summary, summarise


def findings(summaries: dict[tuple[str, str], Summary]) -> Iterator[str]:
    """Hypothesis against result, for the cells that were run and have a hypothesis."""
    agreed = {probe: {True: [], False: []} for probe in PROBES}
    unforeseen: dict[str, list[str]] = {probe: [] for probe in PROBES}
    others: dict[str, list[str]] = {'Did not agree': [], 'Undecided': []}
    for (mechanism, probe), summary in sorted(summaries.items()):
        expected = PROBES[probe].expects(mechanism)
        if expected is None:
            if summary.solved:
                unforeseen[probe].append(mechanism)
            continue
        if summary.solved == expected:
            agreed[probe][expected].append(mechanism)
            continue
        note = NOTES.get((mechanism, probe))
        words = 'was to solve it' if expected else 'was to fail'
        line = f'- `{mechanism}` on *{probe}* {words}: {in_words(summary)}.'
        others['Undecided' if summary.solved is None else 'Did not agree'].append(
            f'{line} {note}' if note else line
        )
    counts = [sum(len(g[True] + g[False]) for g in agreed.values()), *map(len, others.values())]
    yield (
        f'Of {sum(counts)} results with a hypothesis {counts[0]} agreed with it (98 % or more '
        f'where it said *solve*, at most 60 % where it said *fail*), {counts[1]} did not, and '
        f'{counts[2]} lie between 60 and 98 %.\n\n### Agreed\n\n'
    )
    for probe, groups in agreed.items():
        words = [
            f'{verb} {listed(groups[expected])}'
            for expected, verb in ((True, 'solved by'), (False, 'not by'))
            if groups[expected]
        ]
        if words:
            yield f'- *{probe}*: {"; ".join(words)}\n'
    for verdict, lines in others.items():
        if lines:
            yield f'\n### {verdict}\n\n' + '\n'.join(lines) + '\n'
    if any(unforeseen.values()):
        yield '\n### Solved without a hypothesis\n\n'
    for probe, names in unforeseen.items():
        if names:
            why = f'. {UNFORESEEN[probe]}' if probe in UNFORESEEN else ''
            yield f'- *{probe}*: {listed(names)}{why}\n'
    solved = {probe for (_, probe), summary in summaries.items() if summary.solved}
    missing = [f'*{probe}*' for probe in PROBES if probe not in solved]
    if missing:
        yield f'\nNo mechanism that was run solves {", ".join(missing)}.\n'


def other_budgets(cells: Sequence[Cell]) -> Iterator[str]:
    """What other numbers of steps change, from the same seeds."""
    budgets = sorted({cell.steps for cell in cells} - {STEPS})
    for steps in budgets:
        yield from _other_budget(cells, steps)
    if not budgets or budgets[-1] < STEPS:
        yield 'Not run: whether any mechanism that fails here would learn in more steps is open.\n'


def _other_budget(cells: Sequence[Cell], steps: int) -> Iterator[str]:
    default, other = ({c.key[:3] for c in cells if c.steps == n} for n in (STEPS, steps))
    summaries = summarise(c for c in cells if c.key[:3] in default & other)
    names = sorted({key[:2] for key in summaries})
    pairs = {name: [summaries[(*name, n)] for n in (STEPS, steps)] for name in names}
    changed = {name: pair for name, pair in pairs.items() if pair[0].solved != pair[1].solved}
    yield (
        f'### {steps} steps\n\nCells: {len(other)}. Results that both numbers of steps have from '
        f'the same seeds: {len(pairs)}, with another verdict: {len(changed)}.\n\n'
    )
    if changed:
        yield table_row('mechanism', 'probe', f'{STEPS} steps', f'{steps} steps')
        yield table_row(*['---'] * 4)
    for (mechanism, probe), pair in changed.items():
        yield table_row(f'`{mechanism}`', probe, *map(in_words, pair))
    unsolved = [
        f'`{mechanism}` on *{probe}* ({100 * after.mean:.1f} %)'
        for (mechanism, probe), (_, after) in pairs.items()
        if steps > STEPS and (mechanism, probe) not in changed and not after.solved
    ]
    yield f'\nNot solved by more steps: {", ".join(unsolved)}.\n\n' if unsolved else '\n'


def in_words(summary: Summary) -> str:
    """Mean, interval and number of seeds."""
    interval = f'{100 * summary.low:.0f} to {100 * summary.high:.0f}'
    seeds = 'one seed' if summary.seeds == 1 else f'{summary.seeds} seeds'
    return f'{100 * summary.mean:.1f} % ({interval}, {seeds})'


def table_row(*cells: str) -> str:
    """A row of a table in Markdown."""
    return f'| {" | ".join(cells)} |\n'
