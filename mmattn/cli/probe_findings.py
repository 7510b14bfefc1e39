"""Hypotheses of the probes against their results, and what twice the steps change."""

from collections.abc import Iterator, Sequence

from mmattn.probes import PROBES, STEPS
from mmattn.probes.results import Cell, Summary, summarise


def _listed(names: Sequence[str]) -> str:
    return ', '.join(f'`{name}`' for name in names)


_ELIMINATION = (
    'A cue within four rows or columns of a query, and half of the queries have one, is that of '
    'the other query, whose class is the opposite: 75 % can be had so.'
)
_TWO_STEPS = (
    'Two steps connect every two pixels, so that the information is there; why it was not learnt '
    'is open. Both steps share their weights, and queries and keys have 4 of 32 channels here.'
)
_SCALES = (
    'Its scales are one pixel (1 x 1 convolutions) and the whole map. Inside a bar both are the '
    'same for a long and a short one.'
)
_THROUGH_WEIGHTS = (
    'Its output at a pixel mixes the channels of that pixel alone. What else is in the row or '
    'column changes the weights of the mixture, by its product with the mean of all rows or '
    'columns, and nothing more.'
)
_OWN_KEY = (
    'The context is one for all queries, but it can hold the class of each key; what is behind it '
    "has the query's own key beside it and picks."
)
_FIRST_ORDER = (
    'The convolutions before the mechanism see both channels of a dot and can tell with their '
    'ReLUs whether they agree, and of that a mean is enough. So this probe does not tell '
    'second-order pooling from means; what it tells is which of them learnt it in these steps.'
)
# Why a result did not agree with its hypothesis, where that is known, by mechanism and probe. The
# page shows a note only where the cell was run and did not agree.
NOTES = {
    ('AFF', 'scale'): _SCALES,
    ('MSCAM', 'scale'): _SCALES,
    ('CoordinateAttention', 'position'): (
        'Its means of rows and columns go through convolutions that all rows and columns share: '
        'where the map moves, the gates move with it, and nothing tells one row from another. It '
        'keeps apart what lies in different rows, but does not know which row is which.'
    ),
    ('CrissCross', 'offset'): _ELIMINATION,
    ('CrissCross(recurrence=2)', 'match'): _TWO_STEPS,
    ('CrissCross(recurrence=2)', 'two_steps'): _TWO_STEPS,
    ('FullyAttentional', 'match'): _THROUGH_WEIGHTS,
    ('FullyAttentional', 'row'): _THROUGH_WEIGHTS,
    ('GAM', 'statistic'): (
        'It does not pool. Its two 7 x 7 convolutions and those of the net see 21 x 21 pixels, '
        'about half of the dots; why it learnt nothing of those is open.'
    ),
    ('GatherExcite', 'statistic'): (
        'In its default form the gate of a channel is the sigmoid of the mean of that channel: '
        'it has the statistic, as squeeze-and-excitation has, but no weights that could amplify it.'
    ),
    ('GlobalContext', 'match'): _OWN_KEY,
    ('GlobalContext', 'region'): _OWN_KEY,
    ('GlobalContext', 'second_order'): _FIRST_ORDER,
    ('GlobalContext', 'two_steps'): _OWN_KEY,
    ('RGA(grid=(24, 24))', 'offset'): (
        'Its relations are in the order of the positions on the map: which of them is that to the '
        'pixel 9 rows below differs from pixel to pixel, and the layer that reads them is the same '
        'for all.'
    ),
    ('SPA', 'scale'): (
        'Its pyramid ends in a gate for each channel of the whole map, which is the same in both '
        'bars.'
    ),
}

# What can tell where on the map it is, though the net around it cannot.
SEE_BORDERS = ('BAM', 'CBAM', 'FullyAttentional', 'GAM', 'ResidualAttention', 'SKConv')
SEE_CELLS = ('APNB', 'FCA', 'InterlacedSparse', 'RGA', 'RGA(grid=(24, 24))', 'SPA')

# Why mechanisms solved a probe that no paper lets one expect of them.
UNFORESEEN = {
    'match': (
        'The pool of the map can have a channel for each key and class. Gates are multiplied with '
        "(CBAM's channels), or computed from (MSCAM and the fusions that are built on it), the "
        'features of the pixel itself, and so keep of each query what belongs to its own key. The '
        'hypothesis for squeeze-and-excitation, that one context has no answer for each query, '
        'overlooks this, though SE itself did not learn it.'
    ),
    'two_steps': (
        'To what compares or pools all pixels it is nearly the same task as *match*; that some '
        'learnt one and not the other is what a single seed leaves open.'
    ),
    'position': (
        'The convolutions of some mechanisms pad with zeros, so that they see where the map ends '
        f'({_listed(SEE_BORDERS)}); others pool or compare in cells of a grid that lies still '
        f'({_listed(SEE_CELLS)}). These could tell, though not all learnt to. The outputs of all '
        'others, but for self-attention with positions, move with the map.'
    ),
    'second_order': _FIRST_ORDER,
}


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
            f'{verb} {_listed(groups[expected])}'
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
            yield f'- *{probe}*: {_listed(names)}{why}\n'
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
    verdicts = []
    for (mechanism, probe, _), after in sorted(longer.items()):
        before = summaries.get((mechanism, probe, STEPS))
        if before is not None:
            verdicts.append('the same' if before.solved == after.solved else 'another')
            yield table_row(f'`{mechanism}`', probe, _plain(before), _plain(after), verdicts[-1])
    yield (
        f'\n{verdicts.count("another")} of {len(verdicts)} have another verdict: there {STEPS} '
        'steps say too little. No other cell was trained for longer.\n'
    )


def _plain(summary: Summary) -> str:
    interval = f'{100 * summary.low:.0f} to {100 * summary.high:.0f}'
    seeds = 'one seed' if summary.seeds == 1 else f'{summary.seeds} seeds'
    return f'{100 * summary.mean:.1f} % ({interval}, {seeds})'


def table_row(*cells: str) -> str:
    """A row of a table in Markdown."""
    return f'| {" | ".join(cells)} |\n'
