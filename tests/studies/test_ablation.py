"""Studies run as processes, are killed, and go on."""

import multiprocessing
import os
import random
import re
import signal
import sys
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from mmattn.apis import ablate
from mmattn.cli import main
from mmattn.engine.lock import start_of
from mmattn.engine.record import run_checkpoints
from mmattn.errors import UserError
from mmattn.studies.folder import plan_runs, write_configs
from mmattn.studies.launchers import SlurmLauncher
from mmattn.studies.plan import load_study
from mmattn.studies.runs import DONE, FAILED, RUNNING, STOPPED, read_state

pytestmark = pytest.mark.e2e
DEADLINE = 600  # seconds for what takes a few where nothing else runs


def start(study: Path, folder: Path, **options) -> BaseProcess:
    """A study in a process of its own; forked, so that it begins without imports."""

    def run() -> None:
        log = (folder.parent / 'output').open('a', buffering=1)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        sys.stdout = sys.stderr = log
        ablate(study, work_dir=folder, **options)

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    return process


def wait_for(happened, process: BaseProcess, folder: Path):
    deadline = time.monotonic() + DEADLINE
    while not (found := happened()):
        output = folder.parent / 'output'
        told = output.read_text()[-3000:] if output.is_file() else ''
        assert process.is_alive() and time.monotonic() < deadline, told
        time.sleep(0.002)
    return found


def child_of(run: Path) -> int | None:
    """The process that a run has now."""
    state = read_state(run)
    pid = state.get('pid')
    alive = pid and start_of(pid) == state.get('started')
    return pid if state['state'] == RUNNING and alive else None


def trainings(run: Path) -> list[list[int]]:
    """The iterations of each start of a training that came that far."""
    logs = sorted((run / 'train').glob('*/*.log'))
    found = [re.findall(r'Iter\(train\) +\[ *(\d+)/', log.read_text()) for log in logs]
    return [[int(number) for number in numbers] for numbers in found if numbers]


@pytest.mark.slow
def test_a_killed_study_goes_on_where_it_was(write_study, tmp_path):
    study, folder = write_study(), tmp_path / 'work'
    none, se = folder / 'none/seed0', folder / 'se/seed0'
    process = start(study, folder)
    wait_for((none / 'train/iter_1.pth').exists, process, folder)
    child = child_of(none)
    process.kill()
    process.join()
    deadline = time.monotonic() + DEADLINE
    while start_of(child) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert start_of(child) is None, 'the training outlived the study'

    with pytest.raises(UserError, match='--resume'):
        ablate(study, work_dir=folder)
    result = ablate(study, work_dir=folder, resume=True)
    assert set(result.states.values()) == {DONE}
    for run in (none, se):
        iterations = [number for start in trainings(run) for number in start]
        assert iterations[-1] == 4
        assert len(iterations) <= 4 + 1, 'a resumed run repeats what was saved'
    assert all(run.metrics()['metrics']['mIoU'] > 0 for run in result.runs)
    assert 'se' in repr(result) and '2 of 2 done' in repr(result)

    before = {run: run.state() for run in result.runs}
    again = ablate(study, work_dir=folder, resume=True)
    assert {run: run.state() for run in again.runs} == before
    assert '2 runs, 2 of them done' in (folder / 'log.txt').read_text()


@pytest.mark.slow
def test_a_study_killed_twenty_times_repeats_and_loses_nothing(write_study, tmp_path):
    study, folder = write_study(seeds=(0, 1), iterations=20), tmp_path / 'work'
    moments = random.Random(3)
    done: dict[Path, dict] = {}
    runs = [folder / variant / f'seed{seed}' for seed in (0, 1) for variant in ('none', 'se')]
    for number in range(20):
        process = start(study, folder, jobs=2, resume=folder.exists())
        if number == 14:  # a run is finished from here on, however slow the machine is
            wait_for(lambda: any(read_state(run)['state'] == DONE for run in runs), process, folder)
        kill_somewhere(process, folder, runs, moments, number)
        for run, state in done.items():
            assert read_state(run) == state, 'a finished run was touched'
        done |= {run: read_state(run) for run in runs if read_state(run)['state'] == DONE}

    assert done, 'else it is not seen that no finished run is repeated'
    result = ablate(study, work_dir=folder, resume=True, jobs=2)
    assert set(result.states.values()) == {DONE}
    for run, state in done.items():
        assert read_state(run) == state
    for run in runs:
        for first, second in zip(trainings(run), trainings(run)[1:], strict=False):
            assert first[-1] <= second[0] <= first[-1] + 1, 'more repeated than was not saved'
        assert trainings(run)[-1][-1] == 20


def kill_somewhere(
    process: BaseProcess, folder: Path, runs: list[Path], moments: random.Random, number: int
) -> None:
    """Kill the study, every other time one of its runs before."""
    run = wait_for(lambda: next(filter(child_of, runs), None), process, folder)
    if number % 4:  # let it come further, so that there is something to lose
        saved = run_checkpoints(run / 'train')[-1:]
        wait_for(
            lambda: run_checkpoints(run / 'train')[-1:] != saved or not child_of(run),
            process,
            folder,
        )
    time.sleep(moments.uniform(0, 1))
    child = child_of(run)
    if number % 2 and child:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, signal.SIGKILL)
        wait_for(lambda: child_of(run) != child, process, folder)
    process.kill()
    process.join()


@pytest.mark.slow
def test_sigterm_saves_what_runs_and_ends(write_study, tmp_path):
    study, folder = write_study(iterations=400), tmp_path / 'work'
    arguments = ['ablate', str(study), '--work-dir', str(folder)]
    process = multiprocessing.get_context('fork').Process(target=main, args=(arguments,))
    process.start()
    none = folder / 'none/seed0'
    wait_for((none / 'train/iter_1.pth').exists, process, folder)
    os.kill(process.pid, signal.SIGTERM)
    process.join(DEADLINE)
    assert process.exitcode == 75
    assert read_state(none)['state'] == STOPPED
    assert read_state(folder / 'se/seed0')['state'] not in (DONE, FAILED)


@pytest.mark.slow
def test_a_failed_run_is_marked_and_the_others_go_on(write_study, tmp_path, capsys):
    study, folder = write_study(), tmp_path / 'work'
    text = study.read_text().replace('none=dict(),', "none=dict(), broken={'load_from': 'no.pth'},")
    study.write_text(text)
    with pytest.raises(SystemExit) as exit_code:
        main(['ablate', str(study), '--work-dir', str(folder)])
    assert exit_code.value.code == 1
    output = capsys.readouterr().out
    assert re.search(r'broken seed 0: failed: error: .*no\.pth', output)
    assert re.search(r'se seed 0: done, mIoU \d', output)
    assert 'not finished' not in output.lower()
    assert 'report/report.html' in output
    assert 'failed: error:' in (folder / 'report/report.md').read_text()


@pytest.mark.slow
def test_a_job_of_a_cluster_runs_as_a_process_does(write_study, tmp_path):
    pytest.importorskip('submitit', reason='submitit, an optional dependency, is not installed')
    study, work = load_study(write_study()), tmp_path / 'work'
    write_configs(study, work)
    run = plan_runs(study, work, [0], amp=False)[0]
    launcher = SlurmLauncher(tmp_path / 'jobs', {'timeout_min': 10}, cluster='local')
    launcher.start(run)
    while not launcher.is_over(run):
        time.sleep(0.1)
    assert run.state()['state'] == DONE
