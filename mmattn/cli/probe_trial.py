"""The results against those of the first trial, which was run before these probes were written."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from mmattn.cli.probe_findings import in_words, table_row
from mmattn.probes import STEPS
from mmattn.probes.results import Cell, is_solved, summarise

# Accuracy in per cent by probe and mechanism: one seed, 400 steps, three pairs an image.
TRIAL = {
    'match': {
        'none': 46,
        'SE': 48,
        'CrissCross(recurrence=2)': 47,
        'FullyAttentional': 47,
        'NonLocal': 99.7,
        'PositionAttention': 100,
        'MultiHeadSelfAttention': 99.7,
        'ChannelAttention': 99,
        'APNB': 99,
    },
    'row': {
        'none': 51,
        'SE': 51,
        'CoordinateAttention': 100,
        'CrissCross': 100,
        'NonLocal': 65,
    },
}
_SIDES = {True: 'solved', False: 'failed', None: 'between'}
_INTRODUCTION = """\
A trial of other code on *match* and *row* came before these probes: one seed, 400 steps, three
pairs of query and cue an image. Here are two pairs and more seeds, of {steps} steps. A result is on
the same side where both solve the probe (98 % or more), both fail (at most 60 %) or both lie
between; of several seeds the mean counts.

"""
_DEVIATIONS = """
{same} of {all} results are on the same side. Code, number of pairs and starts differ from the
trial's. Of these the starts alone have been varied here; what the others do is not known. The
results on another side:

"""
# What is known of results that deviate, beside what their seeds and other numbers of steps show.
_NOTES = {
    ('NonLocal', 'row'): (
        'At least two of three cues have one class, and so have their queries: the class of most '
        'cues is right for two thirds of the queries or more, and takes no look along a row. Of '
        'two cues with opposite classes there is no such class. Whether the trial shows this is '
        'not known.'
    ),
}


def first_trial(cells: Sequence[Cell]) -> Iterator[str]:
    """Results of the trial beside those of the cells that were run, and what deviates."""
    summaries = summarise(cells)
    rows, deviations = [], []
    for probe, results in TRIAL.items():
        for mechanism, percent in results.items():
            here = summaries.get((mechanism, probe, STEPS))
            if here is None:
                continue
            there = is_solved(percent / 100)
            verdict = f'{_SIDES[there]} there, {_SIDES[here.solved]} here'
            if here.solved == there:
                verdict = 'the same side'
            else:
                of_both = [c for c in cells if (c.mechanism, c.probe) == (mechanism, probe)]
                deviations.append(_deviation(of_both, percent))
            rows.append(table_row(probe, f'`{mechanism}`', f'{percent} %', in_words(here), verdict))
    if not rows:
        yield 'None of its cells was run.\n'
        return
    yield _INTRODUCTION.format(steps=STEPS)
    heads = 'probe', 'mechanism', 'trial', f'{STEPS} steps', 'verdict'
    yield table_row(*heads) + table_row(*['---'] * len(heads)) + ''.join(rows)
    yield _DEVIATIONS.format(same=len(rows) - len(deviations), all=len(rows))
    yield from deviations


def _deviation(cells: Sequence[Cell], percent: float) -> str:
    """A line on the cells of a mechanism and a probe: each seed, and what is known."""
    mechanism, probe, *_ = cells[0]
    budgets: dict[int, dict[int, float]] = defaultdict(dict)
    for cell in sorted(cells, key=lambda cell: (cell.steps, cell.seed)):
        budgets[cell.steps][cell.seed] = cell.accuracy
    here = budgets.pop(STEPS)
    line = f'- `{mechanism}` on *{probe}*: {percent} % in the trial, here {_of_seeds(here)}'
    for steps, longer in budgets.items():
        line += f'; after {steps} steps {_of_seeds(longer)}'
    reached = [f'{seed}' for seed, accuracy in here.items() if is_solved(accuracy)]
    if is_solved(percent / 100):
        line += f'. After {STEPS} steps 98 % is reached from '
        line += f'seed {", ".join(reached)} alone' if reached else 'no seed'
    note = _NOTES.get((mechanism, probe))
    return f'{line}. {note}\n' if note else f'{line}.\n'


def _of_seeds(accuracies: dict[int, float]) -> str:
    """`99.7, 97.1 % from seeds 0, 1`."""
    shares = ', '.join(f'{100 * accuracy:.1f}' for accuracy in accuracies.values())
    seeds = ', '.join(map(str, accuracies))
    return f'{shares} % from seed{"s" * (len(accuracies) > 1)} {seeds}'
