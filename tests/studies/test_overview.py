"""What the table and the lines of a study say."""

import time

import pytest
from rich.console import Console

from mmattn.studies import overview
from mmattn.studies.folder import plan_runs
from mmattn.studies.plan import Study, Variant
from mmattn.studies.runs import DONE, FAILED, RUNNING

VARIANTS = {name: Variant(name, {'x': name}) for name in ('none', 'se')}


@pytest.fixture
def runs(tmp_path):
    """One done, one failed, one at iteration 30 of 100, one to do."""
    study = Study('study', 'Why?', 'none', VARIANTS)
    done, failed, running, _ = found = plan_runs(study, tmp_path, [0, 1], amp=False)
    done.note(state=DONE, train_seconds=90, test_seconds=10, metrics={'mIoU': 41.234}, class_iou={})
    failed.note(state=FAILED, error='RuntimeError: boom')
    running.note(state=RUNNING, step='train', began=time.time() - 60)
    scalars = running.work_dir / '20260101_000000/vis_data/scalars.json'
    scalars.parent.mkdir(parents=True)
    scalars.write_text('{"mIoU": 20.5, "step": 20}\n{"loss": 1.0, "step": 30}\n{"loss": 0.')
    return found


def test_lines_say_state_miou_and_error(runs):
    done, failed, running, to_do = overview.lines(runs)
    assert done == 'none seed 0: done, mIoU 41.23'
    assert failed.startswith('se seed 0: failed: RuntimeError: boom (log: ')
    assert running == 'none seed 1: train 30, 20.50 so far'
    assert to_do == 'se seed 1: to do'


def test_the_table_has_a_cell_for_each_run_and_the_mean_of_those_that_are_done(runs):
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(overview.table(runs, 100, 'Why?'))
    none, se = (line for line in capture.get().splitlines() if line.startswith('│'))
    assert [cell.strip() for cell in none.split('│')[1:-1]] == [
        *('none', '41.23', 'train 30, 20.50 so far', '41.23')
    ]
    assert [cell.strip() for cell in se.split('│')[1:-1]] == ['se', 'failed', 'to do', '']
    assert '1 of 4 done, 1 failed, about 2 min left' in capture.get()


def test_time_left_is_that_of_what_waits_and_of_what_runs(runs):
    """100 s for the one that waits, 40 for the one that runs, one at a time."""
    assert overview.seconds_left(runs, 100) == pytest.approx(140, abs=2)
    # Without a finished run: 60 s were 30 of 100 iterations.
    assert overview.seconds_left(runs[2:], 100) == pytest.approx(200 + 140, abs=5)
    assert overview.seconds_left(runs[3:], 100) is None
