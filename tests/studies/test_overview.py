"""What the table and the lines of a study say."""

import io
import os
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from mmattn.studies import overview
from mmattn.studies.ablation import _Log, _run
from mmattn.studies.folder import plan_runs
from mmattn.studies.launchers import LocalLauncher
from mmattn.studies.plan import Study, Variant
from mmattn.studies.runs import DONE, FAILED, RUNNING, Run

VARIANTS = {name: Variant(name, {'x': name}) for name in ('none', 'se')}


@pytest.fixture
def runs(tmp_path):
    """One done, one failed, one at iteration 30 of 100, one to do."""
    study = Study('study', 'Why?', 'none', VARIANTS)
    done, failed, running, _ = found = plan_runs(study, tmp_path, [0, 1], amp=False)
    done.note(state=DONE, train_seconds=90, test_seconds=10, metrics={'mIoU': 41.234}, class_iou={})
    failed.note(state=FAILED, error='RuntimeError: boom')
    running.note(state=RUNNING, step='train', began=time.time() - 60)
    write_scalars(running, '20260101_000000', '{"mIoU": 20.5, "step": 20}\n', range(30, 31))
    return found


def write_scalars(run: Run, start: str, text: str, steps: range) -> Path:
    """What a start of a training has logged, cut off in a line."""
    scalars = run.work_dir / start / 'vis_data/scalars.json'
    scalars.parent.mkdir(parents=True)
    losses = ''.join(f'{{"loss": 1.0, "step": {step}}}\n' for step in steps)
    scalars.write_text(f'{text}{losses}{{"loss": 0.')
    return scalars


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
    assert '1 of 4 done, 1 failed, about 3 min left' in capture.get()


def test_time_left_is_that_of_what_waits_and_of_what_runs(runs):
    """100 s for the one that waits, 70 for 70 of 100 iterations, one at a time."""
    assert overview.seconds_left(runs, 100) == pytest.approx(170, abs=2)
    assert overview.seconds_left(runs, None) == pytest.approx(140, abs=2)
    # Without a finished run: 60 s were 30 of 100 iterations.
    assert overview.seconds_left(runs[2:], 100) == pytest.approx(200 + 140, abs=5)
    assert overview.seconds_left(runs[3:], 100) is None


def test_time_left_after_a_resume_is_by_the_pace_since_then(runs):
    """At 900 of 1000, resumed 10 s ago from 800, after a start that was killed at 850."""
    done, _, running, to_do = runs
    running.note(began=time.time() - 10)
    before = write_scalars(running, '20260102_000000', '', range(50, 851, 50))
    for path in (before, running.work_dir / '20260101_000000/vis_data/scalars.json'):
        os.utime(path, (time.time() - 1000,) * 2)
    assert overview.seconds_left([running, to_do], 1000) is None  # nothing is known of this start
    write_scalars(running, '20260103_000000', '', range(850, 901, 50))
    assert overview.seconds_left([running, to_do], 1000) == pytest.approx(100 + 10, abs=2)
    assert overview.seconds_left([running], 1000) == pytest.approx(10, abs=2)
    # A finished run tells what a whole one takes.
    assert overview.seconds_left([done, running, to_do], 1000) == pytest.approx(110, abs=2)
    done.note(train_seconds=990)
    assert overview.seconds_left([done, running, to_do], 1000) == pytest.approx(1100, abs=2)


def many(folder: Path) -> list[Run]:
    """37 variants: the 30th runs, the 35th has failed, the first five are done."""
    variants = {f'v{i}': Variant(f'v{i}', {'x': i}) for i in range(1, 38)}
    found = plan_runs(Study('study', 'Why?', 'v1', variants), folder, [0], amp=False)
    for run in found[:5]:
        run.note(state=DONE, train_seconds=10, test_seconds=0, metrics={'mIoU': 40.0}, class_iou={})
    found[29].note(state=RUNNING, step='train', began=time.time())
    found[34].note(state=FAILED, error='RuntimeError: boom')
    return found


@pytest.mark.parametrize(('width', 'height'), [(80, 24), (30, 24), (80, 12)])
def test_on_a_low_terminal_counts_time_and_the_rows_that_matter_are_seen(tmp_path, width, height):
    runs = many(tmp_path)
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    fitting = overview.fitting_table(runs, 100, 'Why?', console)
    lines = [''.join(part.text for part in line) for line in console.render_lines(fitting)]
    text = ' '.join(' '.join(lines).split())
    assert len(lines) == height
    names = [line.split()[1] for line in lines if line.startswith('│')]
    assert names == [*(f'v{i}' for i in range(1, len(names) - 1)), 'v30', 'v35'][: len(names)]
    assert '5 of 37 done, 1 failed, about' in text and 'left' in text
    assert f'{37 - len(names)} more variants' in text


def test_on_a_high_terminal_every_row_is_seen(tmp_path):
    runs = many(tmp_path)
    console = Console(width=80, height=50, color_system=None)
    pages = []
    for shown in (
        overview.table(runs, 100, 'Why?'),
        overview.fitting_table(runs, 100, 'Why?', console),
    ):
        with console.capture() as capture:
            console.print(shown)
        pages.append(capture.get())
    assert pages[0] == pages[1] and 'v37' in pages[0] and 'more variants' not in pages[0]


def test_a_study_on_a_low_terminal_is_cut_by_rows_alone_and_ends_with_all_of_them(tmp_path):
    runs = many(tmp_path)
    for run in runs:
        run.note(state=DONE, metrics={'mIoU': 40.0}, class_iou={})
    study = Study('study', 'Why?', 'v1', {'v1': Variant('v1', {})})
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=24, color_system=None)
    _run(study, runs, LocalLauncher(1), _Log(tmp_path / 'log.txt', console), lambda run: None)
    shown = screen.getvalue()
    assert re.search(r'37 of 37 done; \d+ more\s+variants', shown)
    assert '...' not in shown and '…' not in shown
    last = shown[shown.rindex('Why?') :]
    assert '│ v37' in last and '37 of 37 done' in last and 'more variants' not in last
