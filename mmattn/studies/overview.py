"""How far a study is: a table for a terminal, and lines for a log."""

import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmattn.engine.hooks.curve import scalar_files
from mmattn.errors import UserError
from mmattn.evaluation.scores import miou_of
from mmattn.studies.runs import DONE, FAILED, RUNNING, STOPPED, TO_DO, Run
from mmattn.visualization.curves import Curve, read_curves

_ENDED = (FAILED, STOPPED)
_FIRST = (RUNNING, FAILED, STOPPED, DONE, TO_DO)  # what is shown where there is no space for all
_STYLES = {TO_DO: 'dim', RUNNING: 'cyan', DONE: 'green', FAILED: 'red', STOPPED: 'yellow'}


def curves_of(run: Run, since: float = 0) -> tuple[Curve, Curve]:
    """Training loss and validation mIoU of a run so far, from what was written since a time."""
    files = [path for path in scalar_files(run.work_dir) if path.stat().st_mtime >= since]
    try:
        return read_curves(files)
    except UserError:  # a line that is being written
        return {}, {}


def table(runs: Sequence[Run], iterations: int | None, title: str) -> Table:
    """A row for each variant, a column for each seed: its state, or its mIoU.

    Args:
        runs: Of the study.
        iterations: Of a training, where it is known.
        title: Line above the table.
    """
    return _table(_rows(runs), runs, title, summary(runs, iterations))


def fitting_table(
    runs: Sequence[Run], iterations: int | None, title: str, console: Console
) -> Table:
    """The same with as many rows as the console is high for, what runs and what failed first."""
    rows, words = _rows(runs), summary(runs, iterations)
    ranks = {name: len(_FIRST) for name in rows}
    for run in runs:
        ranks[run.variant] = min(ranks[run.variant], _FIRST.index(run.state()['state']))
    order = sorted(rows, key=ranks.__getitem__)

    def of(count: int) -> Table:
        hidden = order[count:]
        shown = {name: cells for name, cells in rows.items() if name not in hidden}
        more = f'; {len(hidden)} more variants' if hidden else ''
        return _table(shown, runs, title, words + more)

    counts = range(len(rows) + 1)
    too_many = bisect_right(counts, console.height, key=lambda n: len(console.render_lines(of(n))))
    return of(max(too_many - 1, 0))


def lines(runs: Iterable[Run]) -> list[str]:
    """One line for each run: its name, its state, its mIoU or its error."""
    return [f'{run.name}: {_words(run)}' for run in runs]


def miou(run: Run) -> float | None:
    """Test mIoU in percent of a finished run."""
    return miou_of((run.metrics() or {}).get('metrics', {}))


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
    if not whole:
        whole = [took for run in running if (took := _whole_seconds(run, iterations)) is not None]
    if not whole:
        return None
    total = fmean(whole)
    waiting = sum(state['state'] == TO_DO for state in states.values())
    rest = waiting * total + sum(_left(run, iterations, total) for run in running)
    return rest / max(len(running), 1)


def _whole_seconds(run: Run, iterations: int | None) -> float | None:
    """What all iterations of a running run would take, at its pace since its last start."""
    began = _began(run)
    here, _ = curves_of(run, since=began)
    if not here or not iterations:
        return None
    whole, _ = curves_of(run)
    before = max((step for step in whole if step < min(here)), default=0)
    return (time.time() - began) * iterations / (max(here) - before)


def _left(run: Run, iterations: int | None, total: float) -> float:
    """Seconds of a running run, by the iterations of all its starts; else by its time."""
    if iterations:
        loss, mious = curves_of(run)
        return total * max(1 - max([*loss, *mious], default=0) / iterations, 0)
    return max(total - (time.time() - _began(run)), 0)


def _began(run: Run) -> float:
    return run.state().get('began', time.time())


def _rows(runs: Sequence[Run]) -> dict[str, list[Text | str]]:
    """The cells of each variant."""
    seeds = _seeds(runs)
    rows = {}
    for variant in dict.fromkeys(run.variant for run in runs):
        row = {run.seed: run for run in runs if run.variant == variant}
        scores = [score for run in row.values() if (score := miou(run)) is not None]
        cells = [_cell(row[seed]) if seed in row else '' for seed in seeds]
        rows[variant] = [variant, *cells, f'{fmean(scores):.2f}' if scores else '']
    return rows


def _seeds(runs: Sequence[Run]) -> list[int]:
    return sorted({run.seed for run in runs})


def _table(
    rows: Mapping[str, Sequence[Text | str]], runs: Sequence[Run], title: str, caption: str
) -> Table:
    shown = Table(title=title, title_justify='left', caption=caption, caption_justify='left')
    shown.add_column('variant')
    for seed in _seeds(runs):
        shown.add_column(f'seed {seed}', justify='right')
    shown.add_column('mean', justify='right')
    for cells in rows.values():
        shown.add_row(*cells)
    return shown


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
