"""Hypotheses of the probes against their results, and what twice the steps change."""

from collections.abc import Iterator, Sequence

from mmattn.probes import PROBES, STEPS
from mmattn.probes.results import Cell, Summary, summarise

# Why a result did not agree with its hypothesis, where that is known, by mechanism and probe. The
# page shows a note only where the cell was run and did not agree.
NOTES = {
    ('CoordinateAttention', 'position'): (
        'Its means of rows and columns go through convolutions that all rows and columns share: '
        'where the map moves, the gates move with it, and nothing tells one row from another. It '
        'keeps apart what lies in different rows, but does not know which row is which.'
    ),
    ('CrissCross(recurrence=2)', 'two_steps'): (
        'Two steps connect every two pixels, so that the information is there; why it was not '
        'learnt is open. Both steps share their weights, and queries and keys have 4 of 32 '
        'channels here.'
    ),
    ('GAM', 'statistic'): (
        'Neither of its gates pools: that of channels is computed pixel by pixel, that of '
        'positions by two 7 x 7 convolutions. It is global by its name alone.'
    ),
}


def findings(summaries: dict[tuple[str, str], Summary]) -> Iterator[str]:
    """Hypothesis against result, for the cells that were run and have a hypothesis."""
    agreed = {probe: {True: [], False: []} for probe in PROBES}
    others: dict[str, list[str]] = {'Did not agree': [], 'Undecided': []}
    for (mechanism, probe), summary in sorted(summaries.items()):
        expected = PROBES[probe].expects(mechanism)
        if expected is None:
            continue
        if summary.solved == expected:
            agreed[probe][expected].append(f'`{mechanism}`')
            continue
        note = NOTES.get((mechanism, probe))
        words = 'was to solve it' if expected else 'was to fail'
        line = f'- `{mechanism}` on *{probe}* {words}: {_plain(summary)}.'
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
            f'{verb} {", ".join(groups[expected])}'
            for expected, verb in ((True, 'solved by'), (False, 'not by'))
            if groups[expected]
        ]
        if words:
            yield f'- *{probe}*: {"; ".join(words)}\n'
    for verdict, lines in others.items():
        if lines:
            yield f'\n### {verdict}\n\n' + '\n'.join(lines) + '\n'
    solved = {probe for (_, probe), summary in summaries.items() if summary.solved}
    missing = [f'*{probe}*' for probe in PROBES if probe not in solved]
    if missing:
        yield f'\nNo mechanism that was run solves {", ".join(missing)}.\n'


def second_budget(cells: Sequence[Cell]) -> Iterator[str]:
    """What failed, trained for twice as long."""
    summaries = summarise(cells)
    longer = {key: s for key, s in summaries.items() if key[2] == 2 * STEPS}
    if not longer:
        yield (
            f'Not run: whether any mechanism that fails here would learn in {2 * STEPS} steps is '
            'open.\n'
        )
        return
    yield table_row('mechanism', 'probe', f'{STEPS} steps', f'{2 * STEPS} steps', 'verdict')
    yield table_row(*['---'] * 5)
    for (mechanism, probe, _), after in sorted(longer.items()):
        before = summaries.get((mechanism, probe, STEPS))
        if before is not None:
            verdict = 'the same' if before.solved == after.solved else 'another'
            yield table_row(f'`{mechanism}`', probe, _plain(before), _plain(after), verdict)


def _plain(summary: Summary) -> str:
    interval = f'{100 * summary.low:.0f} to {100 * summary.high:.0f}'
    seeds = 'one seed' if summary.seeds == 1 else f'{summary.seeds} seeds'
    return f'{100 * summary.mean:.1f} % ({interval}, {seeds})'


def table_row(*cells: str) -> str:
    """A row of a table in Markdown."""
    return f'| {" | ".join(cells)} |\n'
