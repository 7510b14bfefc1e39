"""Signals, sent to real runs: everything is saved, and the exit code says why a run ended."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmattn.engine.checkpoints import safe_load
from mmattn.engine.record import record_path

from .conftest import CONFIG, REPO

SECONDS = 10  # from a signal to a checkpoint on the disk
ENDLESS = (
    'train_cfg.max_iters=10000',
    'train_cfg.val_interval=10000',
    'default_hooks.checkpoint.interval=10000',
)


def _as_from_a_terminal() -> None:
    """Signals that whatever runs the tests ignores (nohup, a job in the background) act again."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


TWO = ('--standalone', '--nproc_per_node', '2')


class Started:
    """A run in the background, with its output in a file."""

    def __init__(self, call, environment, log):
        self.log = log
        with log.open('w') as output:
            self.process = subprocess.Popen(
                call,
                cwd=REPO,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_as_from_a_terminal,
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str) -> re.Match:
        deadline = time.monotonic() + 300
        while not (found := re.search(pattern, self.text)):
            running = self.process.poll() is None
            assert running and time.monotonic() < deadline, self.text[-2000:]
            time.sleep(0.02)
        return found


@pytest.fixture
def start(command, environment, tmp_path):
    started = []

    def start(
        *options: str,
        torchrun: tuple[str, ...] = (),
        arguments: tuple[str, ...] = (),
        **variables: str,
    ) -> Started:
        call = ('train.py', CONFIG, '--work-dir', tmp_path / 'run', *arguments)
        call = command(*call, options=options)
        if torchrun:
            split = call.index('--cfg-options')
            call = [*call[:split], '--launcher', 'pytorch', *call[split:]]
            call = [sys.executable, '-m', 'torch.distributed.run', *torchrun, *call[1:]]
        variables = {'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1', **variables}
        started.append(Started(call, {**environment, **variables}, tmp_path / 'log'))
        return started[-1]

    yield start
    for run in started:
        run.process.kill()
        run.process.wait()


def assert_saved_in_time(folder: Path, iteration: int, sent: float) -> None:
    """That the checkpoint is whole, and so was soon: its record is the last that is written."""
    checkpoint = folder / f'iter_{iteration}.pth'
    assert safe_load(checkpoint)['meta']['iter'] == iteration
    assert record_path(checkpoint).stat().st_mtime - sent < SECONDS


@pytest.mark.parametrize(
    ('number', 'code'),
    [
        (signal.SIGTERM, 75),
        pytest.param(signal.SIGHUP, 75, marks=pytest.mark.slow),
        (signal.SIGINT, 130),
    ],
    ids=['SIGTERM', 'SIGHUP', 'SIGINT'],
)
def test_a_signal_saves_the_iteration_in_flight(start, run, tmp_path, number, code):
    training = start(*ENDLESS, 'train_dataloader.num_workers=1')
    training.wait_for(r'Iter\(train\) \[ *2/')
    sent = time.time()
    os.killpg(training.process.pid, number)  # the worker too, as a terminal and Slurm do
    assert training.process.wait(timeout=60) == code
    name = signal.Signals(number).name
    iteration = int(re.search(rf'{name}: ended after iteration (\d+)', training.text)[1])
    assert 'Traceback' not in training.text
    assert_saved_in_time(tmp_path / 'run', iteration, sent)
    assert not (tmp_path / 'run/.lock').exists()
    if number == signal.SIGTERM:
        options = (f'train_cfg.max_iters={iteration + 1}', 'train_cfg.val_begin=99999')
        call = ('train.py', CONFIG, '--work-dir', tmp_path / 'run', '--resume')
        result = run(*call, options=options)
        assert result.returncode == 0, result.stderr[-2000:]
        iterations = re.findall(r'Iter\(train\) +\[ *(\d+)/', result.stdout)
        assert iterations == [str(iteration + 1)]


def test_a_signal_in_a_validation_saves_the_iterations_before(start, tmp_path):
    options = ('train_cfg.max_iters=9', 'train_cfg.val_interval=3')
    training = start(*options, 'default_hooks.checkpoint.interval=9')
    training.wait_for(r'Iter\(val\) \[ *1/')
    sent = time.time()
    training.process.send_signal(signal.SIGTERM)
    assert training.process.wait(timeout=60) == 75
    assert 'ended after iteration 3, iter_3.pth saved' in training.text
    assert_saved_in_time(tmp_path / 'run', 3, sent)


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_at_the_start_ends_it_at_once(start, tmp_path, number, code):
    training = start(*ENDLESS)
    time.sleep(1.5)  # while it imports
    training.process.send_signal(number)
    assert training.process.wait(timeout=20) == code
    assert 'Traceback' not in training.text
    assert not [*tmp_path.glob('run/*.pth')]


@pytest.mark.slow
@pytest.mark.parametrize('arguments', [(), ('--fsdp',)], ids=['whole', 'sharded'])
def test_a_signal_to_one_of_two_processes_ends_both_in_order(start, tmp_path, arguments):
    run = start(*ENDLESS, torchrun=TWO, arguments=arguments)
    run.wait_for(r'Iter\(train\) \[ *2/')
    sent = time.time()
    os.kill(workers_of(run.process.pid)[1], signal.SIGTERM)
    assert run.process.wait(timeout=90) != 0
    (iteration,) = set(re.findall(r'SIGTERM: ended after iteration (\d+), iter', run.text))
    assert_saved_in_time(tmp_path / 'run', int(iteration), sent)
    assert 'exitcode: 75' in re.sub(r'exitcode *: *', 'exitcode: ', run.text)


@pytest.mark.slow
def test_a_sharded_model_is_saved_by_all_in_a_validation(start, tmp_path):
    options = ('train_cfg.max_iters=9', 'train_cfg.val_interval=3')
    options += ('default_hooks.checkpoint.interval=9',)
    run = start(*options, torchrun=TWO, arguments=('--fsdp',))
    run.wait_for(r'Iter\(val\) \[ *1/')
    sent = time.time()
    os.kill(workers_of(run.process.pid)[1], signal.SIGTERM)
    assert run.process.wait(timeout=90) != 0
    assert run.text.count('ended after iteration 3, iter_3.pth saved') == 2
    assert_saved_in_time(tmp_path / 'run', 3, sent)


def workers_of(parent: int) -> list[int]:
    """The processes that torchrun has started, by rank."""
    found = {}
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            status = (folder / 'stat').read_text().rpartition(')')[2].split()
            variables = (folder / 'environ').read_text().split('\0')
        except OSError:  # it has ended
            continue
        ranks = [line[5:] for line in variables if line.startswith('RANK=')]
        if int(status[1]) == parent and ranks:
            found[int(ranks[0])] = int(folder.name)
    return [found[rank] for rank in sorted(found)]


@pytest.mark.slow
@pytest.mark.parametrize('way', ['error', 'kill'])
def test_one_dead_process_ends_all_with_its_own_error_first(start, tmp_path, way):
    (tmp_path / 'dying.py').write_text(DYING)
    path = os.pathsep.join([str(REPO), str(tmp_path)])
    hooks = 'custom_hooks.0.type=DyingHook'
    imports = 'custom_imports.imports=[mmattn.models,mmattn.datasets,mmattn.engine,dying]'
    run = start(*ENDLESS, hooks, imports, torchrun=TWO, PYTHONPATH=path, WAY=way)
    run.wait_for(r'Iter\(train\) \[ *2/')
    began = time.monotonic()
    assert run.process.wait(timeout=60) != 0
    assert time.monotonic() - began < 45
    # The launcher names the first that failed.
    cause = run.text.split('Root Cause')[1]
    assert re.search(r'rank *: *1 ', cause)
    if way == 'error':
        assert 'rank 1 is out of luck' in re.search(r'Traceback.*?\n\S*Error.*', run.text, re.S)[0]
    else:
        assert 'SIGKILL' in cause


DYING = """
import os, signal
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class DyingHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if get_rank() == 1 and batch_idx == 3:
            if os.environ['WAY'] == 'kill':
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError('rank 1 is out of luck')
"""


@pytest.mark.slow
def test_a_stopped_process_is_named_when_the_time_is_up(start):
    run = start(*ENDLESS, 'env_cfg.dist_cfg.timeout=15', torchrun=TWO)
    run.wait_for(r'Iter\(train\) \[ *2/')
    stopped = workers_of(run.process.pid)[1]
    os.kill(stopped, signal.SIGSTOP)
    try:
        run.wait_for('hint: process 1 of 2 has stopped.*env_cfg.dist_cfg.timeout')
    finally:
        os.kill(stopped, signal.SIGKILL)
    assert run.process.wait(timeout=60) != 0
