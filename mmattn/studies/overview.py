"""How far a study is: a table for a terminal, and lines for a log."""

import time
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from mmattn.engine.hooks.curve import scalar_files
from mmattn.errors import UserError
from mmattn.studies.runs import DONE, FAILED, RUNNING, STOPPED, TO_DO, Run
from mmattn.visualization.curves import Curve, read_curves

_ENDED = (FAILED, STOPPED)
_STYLES = {TO_DO: 'dim', RUNNING: 'cyan', DONE: 'green', FAILED: 'red', STOPPED: 'yellow'}


def curves_of(run: Run) -> tuple[Curve, Curve]:
    """Training loss and validation mIoU of a run so far."""
    try:
        return read_curves(scalar_files(run.work_dir))
    except UserError:  # a line that is being written
        return {}, {}


def table(runs: Sequence[Run], iterations: int | None, title: str) -> Table:
    """A row for each variant, a column for each seed: its state, or its mIoU.

    Args:
        runs: Of the study.
        iterations: Of a training, where it is known.
        title: Line above the table.
    """
    seeds = sorted({run.seed for run in runs})
    shown = Table(title=title, title_justify='left', caption=summary(runs, iterations))
    shown.caption_justify = 'left'
    shown.add_column('variant')
    for seed in seeds:
        shown.add_column(f'seed {seed}', justify='right')
    shown.add_column('mean', justify='right')
    for variant in dict.fromkeys(run.variant for run in runs):
        row = {run.seed: run for run in runs if run.variant == variant}
        scores = [score for run in row.values() if (score := miou(run)) is not None]
        mean = f'{sum(scores) / len(scores):.2f}' if scores else ''
        cells = [_cell(row[seed]) if seed in row else '' for seed in seeds]
        shown.add_row(variant, *cells, mean)
    return shown


def lines(runs: Iterable[Run]) -> list[str]:
    """One line for each run: its name, its state, its mIoU or its error."""
    return [f'{run.name}: {_words(run)}' for run in runs]


def miou(run: Run) -> float | None:
    """Test mIoU in percent of a finished run."""
    return (run.metrics() or {}).get('metrics', {}).get('mIoU')


def counts(runs: Sequence[Run]) -> str:
    """`3 of 6 done, 1 failed`."""
    states = [run.state()['state'] for run in runs]
    words = [f'{states.count(DONE)} of {len(runs)} done']
    return ', '.join(words + [f'{states.count(kind)} {kind}' for kind in _ENDED if kind in states])


def summary(runs: Sequence[Run], iterations: int | None) -> str:
    """`3 of 6 done, 1 failed, about 12 min left`."""
    left = seconds_left(runs, iterations)
    if left is None or not {RUNNING, TO_DO} & {run.state()['state'] for run in runs}:
        return counts(runs)
    return f'{counts(runs)}, about {_duration(left)} left'


def seconds_left(runs: Sequence[Run], iterations: int | None) -> float | None:
    """Until all are over, at the pace so far and with as many at a time as now; None: unknown."""
    states = {run: run.state() for run in runs}
    whole = [
        state.get('train_seconds', 0) + state.get('test_seconds', 0)
        for state in states.values()
        if state['state'] == DONE
    ]
    running = [run for run in runs if states[run]['state'] == RUNNING]
    spent = {run: time.time() - states[run].get('began', time.time()) for run in running}
    if whole:
        total = sum(whole) / len(whole)
    else:
        guesses = []
        for run in running:
            loss, mious = curves_of(run)
            done = max([*loss, *mious], default=0)
            if done and iterations:
                guesses.append(spent[run] * iterations / done)
        if not guesses:
            return None
        total = sum(guesses) / len(guesses)
    waiting = sum(state['state'] == TO_DO for state in states.values())
    rest = waiting * total + sum(max(total - spent[run], 0) for run in running)
    return rest / max(len(running), 1)


def _cell(run: Run) -> Text:
    return Text(_words(run, short=True), style=_STYLES[run.state()['state']])


def _words(run: Run, short: bool = False) -> str:
    state = run.state()
    if state['state'] == DONE:
        score = miou(run)
        words = 'no mIoU' if score is None else f'{score:.2f}'
        return words if short else f'done, mIoU {words}'
    if state['state'] == RUNNING:
        loss, mious = curves_of(run)
        step = state.get('step', 'train')
        words = f'{step} {max([*loss, *mious], default=0)}' if step == 'train' else step
        return words + (f', {mious[max(mious)]:.2f} so far' if mious else '')
    if state['state'] == FAILED and not short:
        return f'failed: {state.get("error")} (log: {run.log})'
    return state['state']


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f'{seconds:.0f} s'
    if seconds < 90 * 60:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h'
