"""What a run of a study says of itself, and what a start does with what it finds."""

import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from mmattn.cli.arguments import parse_value
from mmattn.engine.lock import start_of
from mmattn.errors import UserError
from mmattn.studies import runs
from mmattn.studies.ablation import ablate
from mmattn.studies.folder import (
    is_outdated,
    move_aside,
    plan_runs,
    seeds_to_run,
    take_over,
    write_configs,
    write_note,
)
from mmattn.studies.launchers import LocalLauncher, SlurmLauncher, check_jobs, thread_variables
from mmattn.studies.plan import Study, Variant, load_study
from mmattn.studies.runs import (
    DONE,
    FAILED,
    RUNNING,
    STOPPED,
    TO_DO,
    end_what_is_left,
    execute,
    last_error,
    state_after,
)

STUDY = Study(
    'study', 'Why?', 'none', {name: Variant(name, {'x': name}) for name in ('none', 'se')}
)


@pytest.fixture
def run(tmp_path):
    return plan_runs(STUDY, tmp_path, [0], amp=False)[0]


def test_all_variants_of_a_seed_come_before_the_next_seed(tmp_path):
    runs = plan_runs(STUDY, tmp_path, [0, 3], amp=False)
    assert [run.name for run in runs] == ['none seed 0', 'se seed 0', 'none seed 3', 'se seed 3']
    assert len({run.folder for run in runs}) == 4


def test_a_state_of_other_settings_does_not_count(run, tmp_path):
    assert run.state() == {'state': TO_DO}
    run.note(state=DONE)
    run.note(step='test')
    assert run.state() == {'state': DONE, 'step': 'test', 'digest': run.digest}
    with_amp = plan_runs(STUDY, tmp_path, [0], amp=True)[0]
    assert with_amp.state() == {'state': TO_DO}


def test_results_of_other_settings_are_moved_aside_not_lost(run, tmp_path):
    changed = Study('study', 'Why?', 'none', {'none': Variant('none', {'x': 2})})
    (new,) = plan_runs(changed, tmp_path, [0], amp=False)
    for number in (1, 2):
        run.note(state=DONE)
        (run.folder / 'result').write_text(str(number))
        move_aside(new)
        assert not run.folder.exists()
    kept = sorted((tmp_path / 'none/replaced').glob('*/result'))
    assert [file.read_text() for file in kept] == ['1', '2']
    new.note(state=DONE)
    move_aside(new)
    assert new.state()['state'] == DONE


def at(data: str, **others) -> Study:
    """A study of one variant, whose data lies somewhere."""
    settings = {'train_dataloader': {'dataset': {'data_root': data, **others}}}
    return Study('study', 'Why?', 'none', {'none': Variant('none', settings)})


def test_where_the_data_lies_is_no_setting_of_a_run(tmp_path):
    (run,) = plan_runs(at('here'), tmp_path, [0], amp=False)
    run.note(state=DONE)
    (moved,) = plan_runs(at('elsewhere'), tmp_path, [0], amp=False)
    move_aside(moved)
    assert moved.state()['state'] == DONE
    (changed,) = plan_runs(at('here', indices=2), tmp_path, [0], amp=False)
    assert changed.state() == {'state': TO_DO}


@pytest.mark.parametrize('amp', [False, True])
def test_what_earlier_versions_noted_goes_on(tmp_path, amp):
    """There the place of the data counted, which is still where it was."""
    (run,) = plan_runs(at('here'), tmp_path, [0], amp=amp)
    run.folder.mkdir(parents=True)
    digest = at('here').variants['none'].digest + ('-amp' if amp else '')
    state = {'state': STOPPED, 'train_seconds': 60, 'digest': digest}
    (run.folder / 'state.json').write_text(json.dumps(state))
    move_aside(run)
    assert run.state() == state
    run.note(state=DONE)
    (moved,) = plan_runs(at('elsewhere'), tmp_path, [0], amp=amp)
    assert (moved.state()['state'], moved.state()['train_seconds']) == (DONE, 60)


def test_an_earlier_start_is_gone_on_with_only_when_asked(tmp_path):
    take_over(tmp_path, resume=False, amp=False)
    write_note(tmp_path, False, [1, 0])
    write_note(tmp_path, False, [2])
    assert '[0, 1, 2]' in (tmp_path / 'study.json').read_text()
    with pytest.raises(UserError, match='--resume'):
        take_over(tmp_path, resume=False, amp=False)
    take_over(tmp_path, resume=True, amp=False)
    with pytest.raises(UserError, match='begun without --amp'):
        take_over(tmp_path, resume=True, amp=True)


@pytest.mark.parametrize(
    ('starts', 'seeds'),
    [
        ([], (0, 1, 2)),
        ([((0, 1, 2), False)], (0, 1, 2)),
        ([((7,), True)], (7,)),
        ([((7,), True), ((7,), False)], (7,)),
        ([((7,), True), ((0, 4), True)], (0, 4, 7)),
        ([((0, 1, 2), False), ((5,), True)], (0, 1, 2, 5)),
    ],
)
def test_a_resumed_study_has_the_seeds_of_its_starts(tmp_path, starts, seeds):
    for given, named in starts:
        write_note(tmp_path, False, given, named)
    assert seeds_to_run(STUDY, tmp_path, resume=True) == seeds
    assert seeds_to_run(STUDY, tmp_path, resume=False) == STUDY.seeds


def test_seeds_that_a_study_was_given_later_are_run_where_it_ran_its_own(tmp_path):
    write_note(tmp_path, False, [0, 1], named=False)
    assert seeds_to_run(STUDY, tmp_path, resume=True) == (0, 1, 2)


def test_earlier_versions_did_not_note_whose_seeds_they_were(tmp_path):
    (tmp_path / 'study.json').write_text('{"amp": false, "seeds": [0, 9]}')
    assert seeds_to_run(STUDY, tmp_path, resume=True) == (0, 1, 2, 9)


@pytest.mark.parametrize('name', ['My Drive', 'a,b', "it's [1", 'q" (1)'])
def test_a_test_writes_its_report_into_the_folder_of_its_run(tmp_path, name):
    (run,) = plan_runs(at('here', type='x'), tmp_path / name, [0], amp=False)
    run = replace(run, counts_images=True)
    (run.work_dir).mkdir(parents=True)
    (run.work_dir / 'iter_4.pth').touch()
    *_, option, given = runs._arguments(run, 'test')
    key, _, text = given.partition('=')
    parsed = {'images': True, 'report': str(run.folder)}
    assert (option, key, parse_value(key, text)) == ('--cfg-options', 'test_evaluator', parsed)


@pytest.mark.parametrize('text', ['', '{"amp": fal', '[0, 1]', '{"seeds": [0]}'])
@pytest.mark.parametrize('resume', [False, True])
def test_a_damaged_note_is_told_and_without_it_the_runs_count(run, tmp_path, text, resume):
    run.note(state=DONE)
    note = tmp_path / 'study.json'
    note.write_text(text)
    with pytest.raises(UserError, match=r'study\.json is damaged.* remove the file and start'):
        take_over(tmp_path, resume, amp=False)
    assert note.read_text() == text
    note.unlink()
    take_over(tmp_path, resume, amp=False)
    move_aside(run)
    assert run.state()['state'] == DONE


@pytest.mark.parametrize(
    ('output', 'code', 'line'),
    [
        ('loading\nerror: no such file\n', 2, 'error: no such file'),
        ('Traceback:\n  x\nRuntimeError: boom\nhint: look there\n', 1, 'RuntimeError: boom'),
        ('torch.OutOfMemoryError: 3 GiB\n', 1, 'torch.OutOfMemoryError: 3 GiB'),
        ('Iter(train) [1/6]\n', -9, 'killed by SIGKILL'),
        ('', 1, 'exit code 1'),
    ],
)
def test_the_error_is_one_line(output, code, line):
    assert last_error(output, code) == line


@pytest.mark.parametrize(
    ('code', 'state'),
    [(75, STOPPED), (130, STOPPED), (-signal.SIGTERM, STOPPED), (-signal.SIGKILL, FAILED)]
    + [(code, FAILED) for code in (1, 2, 3)],
)
def test_what_was_asked_to_end_has_not_failed(code, state):
    assert state_after(code) == state


def test_threads_are_divided_and_what_the_user_set_stays():
    assert thread_variables({}, 16, 3) == {'OMP_NUM_THREADS': '5', 'OMP_WAIT_POLICY': 'passive'}
    assert thread_variables({}, 2, 8)['OMP_NUM_THREADS'] == '1'
    assert 'OMP_NUM_THREADS' not in thread_variables({'OMP_NUM_THREADS': '7'}, 16, 2)


def test_a_child_ends_with_a_parent_that_is_killed(tmp_path):
    """However the parent ends; a run that is still there at the next start would be in its way."""
    code = (
        'import os, subprocess, sys, time\n'
        "os.environ['MMATTN_STUDY_PROCESS'] = str(os.getpid())\n"
        'child = "import os, time; from mmattn.parent import *; '
        'end_with_parent(int(os.environ[PARENT])); print(os.getpid(), flush=True)\\n'
        'time.sleep(60)"\n'
        'subprocess.run([sys.executable, "-c", child], start_new_session=True)\n'
    )
    parent = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < deadline, 'the child lives on'
        time.sleep(0.01)


def test_a_process_that_outlived_its_parent_is_ended(run):
    """As it can outside Linux."""
    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
    note = dict(state=RUNNING, host=socket.gethostname(), pid=child.pid)
    run.note(**note, started='another process of that number')
    end_what_is_left(run)
    assert child.poll() is None
    run.note(**note, started=start_of(child.pid))
    # Its parent is this test, so that it stays a zombie until it is waited for.
    signal.signal(signal.SIGCHLD, lambda *_: child.poll())
    try:
        end_what_is_left(run)
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    assert child.wait(10) == -signal.SIGTERM


def test_a_training_that_is_done_is_not_repeated(run, monkeypatch):
    """Where the study was killed in the test of a run."""
    steps = []

    def step(run, step, *rest):
        steps.append(step)
        return (-signal.SIGKILL, 'killed by SIGKILL') if steps == ['train', 'test'] else (0, '')

    monkeypatch.setattr(runs, '_step', step)
    monkeypatch.setattr(runs, 'run_checkpoints', lambda folder: [folder / 'iter_1.pth'])
    execute(run)
    assert (run.state()['state'], run.state()['error']) == (FAILED, 'killed by SIGKILL')
    execute(run)
    assert steps == ['train', 'test', 'test']
    assert (run.state()['state'], run.state()['error']) == (DONE, None)


def test_the_time_of_a_training_outlives_a_kill_of_its_study(run, tmp_path, monkeypatch):
    program, over = tmp_path / 'program', tmp_path / 'over'
    wait = 'while kill -0 $PPID 2>/dev/null; do sleep 0.05; done'
    program.write_text(f'#!/bin/sh\n[ -e {over} ] && exit 1\n{wait}\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(program))
    monkeypatch.setattr(runs, '_BETWEEN_NOTES', 0.1)
    study = multiprocessing.get_context('fork').Process(target=execute, args=(run,))
    study.start()
    deadline = time.monotonic() + 20
    while (known := run.state().get('train_seconds', 0)) < 0.5 and time.monotonic() < deadline:
        time.sleep(0.02)
    study.kill()
    study.join()
    over.touch()
    execute(run)
    assert run.state()['state'] == FAILED
    assert run.state()['train_seconds'] >= known >= 0.5


def test_a_trained_run_whose_checkpoints_are_gone_is_trained_again(run, monkeypatch):
    steps = []

    def step(run, step, *rest):
        steps.append(step)
        if step == 'train':
            run.work_dir.mkdir(exist_ok=True)
            (run.work_dir / 'iter_1.pth').touch()
        return 0, ''

    monkeypatch.setattr(runs, '_step', step)
    run.note(trained=True, state=STOPPED)
    execute(run)
    assert steps == ['train', 'test']
    assert run.state()['state'] == DONE


def test_a_training_that_leaves_no_checkpoint_has_failed(run, monkeypatch):
    monkeypatch.setattr(runs, '_step', lambda *rest: (0, ''))
    execute(run)
    assert run.state()['state'] == FAILED
    assert 'no checkpoint' in run.state()['error']


def test_what_was_measured_outlives_the_predictions(run, monkeypatch):
    measured = {'metrics': {'mIoU': 50.0}, 'class_iou': {'car': 50.0}}

    def step(run, step, *rest):
        if step == 'test':
            run.predictions.mkdir()
            (run.predictions / 'metrics.json').write_text(json.dumps(measured))
        return 0, ''

    monkeypatch.setattr(runs, '_step', step)
    monkeypatch.setattr(runs, 'run_checkpoints', lambda folder: [folder / 'iter_1.pth'])
    execute(run)
    shutil.rmtree(run.predictions)
    assert run.metrics() == measured


def test_the_checkpoint_is_noted_as_seen_from_the_folder_of_the_run(run, monkeypatch):
    monkeypatch.setattr(runs, '_step', lambda *rest: (0, ''))
    monkeypatch.setattr(runs, 'run_checkpoints', lambda folder: [folder / 'iter_1.pth'])
    assert run.checkpoint is None
    execute(run)
    assert run.state()['checkpoint'] == 'train/iter_1.pth'
    assert run.checkpoint == run.folder / 'train/iter_1.pth'


def test_a_done_run_may_lack_metrics(run):
    """For instance where its folder of predictions was deleted before they were read."""
    run.note(state=DONE)
    assert run.metrics() is None


def test_what_fails_before_its_process_starts_is_marked(run):
    """Here the place of its folder is taken; it might be a full disk."""
    run.folder.parent.mkdir()
    run.folder.mkdir()
    (run.folder / 'log.txt').mkdir()
    launcher = LocalLauncher(1)
    launcher.start(run)
    while not launcher.is_over(run):
        time.sleep(0.01)
    launcher.stop()
    assert run.state()['state'] == FAILED
    assert 'IsADirectoryError' in run.state()['error']


def test_slurm_without_submitit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(UserError, match='needs submitit, which is not installed'):
        SlurmLauncher(tmp_path, {})


def test_slurm_where_there_is_none_is_refused(tmp_path, monkeypatch):
    pytest.importorskip('submitit', reason='submitit, an optional dependency, is not installed')
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(UserError, match='--launcher slurm is not possible here'):
        SlurmLauncher(tmp_path / 'slurm', {})


@pytest.mark.parametrize('options', [{'timeout_mn': 3}, {'timeout_min': 'long'}])
def test_a_misspelt_option_of_slurm_is_told(tmp_path, options):
    pytest.importorskip('submitit', reason='submitit, an optional dependency, is not installed')
    with pytest.raises(UserError, match=f'--slurm-options: .*{next(iter(options))}'):
        SlurmLauncher(tmp_path, options, cluster='local')


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Commands of a Slurm that takes jobs, numbered from 1, and says what the file `state` says."""
    reason = 'submitit, an optional dependency, is not installed'
    submitit = pytest.importorskip('submitit', reason=reason)
    submitit.SlurmJob.watcher.clear()  # it remembers jobs of other tests by their numbers
    folder = tmp_path / 'slurm_commands'
    folder.mkdir()
    state = folder / 'state'
    state.write_text('PENDING')
    commands = {
        'srun': '',
        'sbatch': f'echo job >> {folder}/log; echo Submitted batch job $(wc -l < {folder}/log)',
        'sacct': f'echo "JobID|State|NodeList"; for i in 1 2; do echo "$i|$(cat {state})|n"; done',
    }
    for name, text in commands.items():
        (folder / name).write_text(f'#!/bin/sh\n{text}\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')
    return state


def test_a_job_that_waits_is_found_again_and_not_replaced(run, slurm, tmp_path):
    SlurmLauncher(tmp_path / 'jobs', {}).start(run)
    again = SlurmLauncher(tmp_path / 'jobs', {})
    again.start(run)
    assert again.job_of(run) == '1'
    assert not again.is_over(run)


@pytest.mark.parametrize('state', ['PENDING', 'RUNNING'])
def test_the_folder_of_a_job_under_way_is_not_moved(run, slurm, tmp_path, state):
    """Whatever it waits for, and whichever launcher goes on."""
    SlurmLauncher(tmp_path / 'jobs', {}).start(run)
    if state == RUNNING.upper():
        run.note(state=RUNNING, host='another', pid=1)
    slurm.write_text(state)
    changed = Study('study', 'Why?', 'none', {'none': Variant('none', {'x': 2})})
    (new,) = plan_runs(changed, tmp_path, [0], amp=False)
    assert is_outdated(new) and not is_outdated(run)
    launchers = SlurmLauncher(tmp_path / 'jobs', {}), LocalLauncher(1)
    for launcher in launchers:
        with pytest.raises(UserError, match=r'jobs 1 of Slurm .*none seed 0.* \(scancel 1\)'):
            check_jobs(launcher, [new])


def test_the_folder_of_a_job_that_ended_may_be_moved(run, slurm, tmp_path):
    SlurmLauncher(tmp_path / 'jobs', {}).start(run)
    run.note(state=STOPPED)
    slurm.write_text('CANCELLED')
    for launcher in (SlurmLauncher(tmp_path / 'jobs', {}), LocalLauncher(1)):
        check_jobs(launcher, [run])


def test_a_study_whose_changed_variant_has_a_job_is_not_touched(write_study, slurm, tmp_path):
    file, folder = write_study(), tmp_path / 'work'
    study = load_study(file)
    write_note(folder, False, [0])
    (path, *_) = write_configs(study, folder).values()
    before = path.read_text()
    SlurmLauncher(folder / 'slurm', {}).start(plan_runs(study, folder, [0], amp=False)[0])
    file.write_text(file.read_text().replace('none=dict()', "none={'train_cfg.max_iters': 3}"))
    (slurm.parent / 'sbatch').unlink()  # another job would wait for ever
    with pytest.raises(UserError, match='scancel 1'):
        ablate(file, work_dir=folder, launcher='slurm', resume=True)
    assert path.read_text() == before
    assert not (folder / 'none/replaced').exists()


def test_no_jobs_at_a_time_are_refused():
    with pytest.raises(UserError, match='--jobs must be at least 1'):
        LocalLauncher(0)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
