"""Hypotheses of the probes against their results, and what twice the steps change."""

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


def second_budget(cells: Sequence[Cell]) -> Iterator[str]:
    """What failed, trained for twice as long from the same seeds."""
    both = {(c.mechanism, c.probe, c.seed) for c in cells if c.steps == 2 * STEPS}
    summaries = summarise([c for c in cells if (c.mechanism, c.probe, c.seed) in both])
    longer = {key: s for key, s in summaries.items() if key[2] == 2 * STEPS}
    if not longer:
        yield (
            f'Not run: whether any mechanism that fails here would learn in {2 * STEPS} steps is '
            'open.\n'
        )
        return
    yield table_row('mechanism', 'probe', f'{STEPS} steps', f'{2 * STEPS} steps', 'verdict')
    yield table_row(*['---'] * 5)
    verdicts = []
    for (mechanism, probe, _), after in sorted(longer.items()):
        before = summaries.get((mechanism, probe, STEPS))
        if before is not None:
            verdicts.append('the same' if before.solved == after.solved else 'another')
            yield table_row(
                f'`{mechanism}`', probe, in_words(before), in_words(after), verdicts[-1]
            )
    yield (
        f'\n{verdicts.count("another")} of {len(verdicts)} have another verdict: there {STEPS} '
        'steps say too little. No other cell was trained for longer.\n'
    )


def in_words(summary: Summary) -> str:
    """Mean, interval and number of seeds."""
    interval = f'{100 * summary.low:.0f} to {100 * summary.high:.0f}'
    seeds = 'one seed' if summary.seeds == 1 else f'{summary.seeds} seeds'
    return f'{100 * summary.mean:.1f} % ({interval}, {seeds})'


def table_row(*cells: str) -> str:
    """A row of a table in Markdown."""
    return f'| {" | ".join(cells)} |\n'
