"""tools/train.py as a process."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config

from mmattn.engine.checkpoints import safe_load
from mmattn.engine.record import run_checkpoints
from mmattn.preflight.checkpoint import latest_checkpoint

from .conftest import CONFIG, REPO


def trained_iterations(log: str) -> list[int]:
    return [int(number) for number in re.findall(r'Iter\(train\) +\[ *(\d+)/', log)]


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen, seconds: float = 300
) -> None:
    """Return when the condition holds, which it must while the process runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f'the process ended with {process.returncode}'
        assert time.monotonic() < deadline, f'not within {seconds} s'
        time.sleep(0.01)


def test_training_ends_with_what_to_do_next(trained):
    result, work_dir = trained
    assert trained_iterations(result.stdout) == [1, 2, 3, 4]
    last, best, iteration = re.search(
        r'mIoU +last (\S+), best (\S+) at iteration (\d+)', result.stdout
    ).groups()
    assert float(best) >= float(last) > 0
    checkpoint = re.search(r'^  checkpoint +(\S+)', result.stdout, re.MULTILINE)[1]
    assert Path(checkpoint) == work_dir / f'best_mIoU_iter_{iteration}.pth'
    assert Path(checkpoint).is_file()
    assert f'mmattn test {CONFIG} {checkpoint}' in result.stdout
    assert (work_dir / 'curves.png').read_bytes().startswith(b'\x89PNG')
    assert 'OneDL' not in result.stdout  # noise of an import


def test_the_log_on_the_screen_is_for_people(trained, run, tmp_path):
    result, work_dir = trained
    (log,) = work_dir.glob('*/*.log')
    hidden = ('OneDL', 'optim_wrapper = ', 'System environment', 'RuntimeInfoHook', 'Warning')
    assert not [words for words in hidden if words in result.stdout + result.stderr]
    assert [words for words in hidden if words in log.read_text()] == list(hidden[1:4])
    assert f'log: {log}' in result.stdout
    assert re.search(r'model: \S+ k parameters, \S+ M multiply-adds', result.stdout)
    assert len(result.stdout.splitlines()) < 100  # every iteration and image has a line here
    options = ('train_cfg.max_iters=1', 'train_cfg.val_begin=9')
    verbose = run('train.py', CONFIG, '--verbose', '--work-dir', tmp_path, options=options)
    assert all(words in verbose.stdout for words in hidden[1:4])


def test_progress_in_a_log_is_plain_lines_with_the_time_left(trained):
    result, _ = trained
    assert re.search(r'Iter\(train\) +\[ *3/4\].*eta: \d', result.stdout)
    assert '\033[' not in result.stdout
    assert '━' not in result.stdout


def test_a_new_run_does_not_overwrite_an_earlier_one(trained, run):
    _, work_dir = trained
    before = {file: file.stat().st_mtime_ns for file in work_dir.rglob('*')}
    result = run('train.py', CONFIG, '--work-dir', work_dir)
    assert result.returncode == 2
    assert f'error: {work_dir} holds the checkpoints of an earlier run' in result.stderr
    assert '--resume' in result.stderr
    assert {file: file.stat().st_mtime_ns for file in work_dir.rglob('*')} == before


def test_resume_goes_on_where_the_run_stopped(trained, run, tmp_path):
    _, finished = trained
    work_dir = tmp_path / 'moved'
    shutil.copytree(finished, work_dir)
    # All weights come from the checkpoint; unreachable pretrained ones are not asked for.
    options = ('train_cfg.max_iters=6', 'model.pretrained=http://127.0.0.1:9/none.pth')
    result = run('train.py', CONFIG, '--work-dir', work_dir, '--resume', options=options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert trained_iterations(result.stdout) == [5, 6]
    checkpoint, start = (safe_load(work_dir / name) for name in ('iter_6.pth', 'iter_4.pth'))
    weights, before = (
        torch.cat([w.flatten() for w in state['state_dict'].values() if w.dim() == 4])
        for state in (checkpoint, start)
    )
    assert 0 < (weights - before).norm() < 0.1 * before.norm()  # not from scratch
    assert checkpoint['meta']['iter'] == 6
    assert {int(state['step']) for state in checkpoint['optimizer']['state'].values()} == {6}
    assert checkpoint['param_schedulers'][0]['last_step'] == 6


def test_a_damaged_checkpoint_is_passed_over_and_nothing_is_lost(trained, run, tmp_path):
    _, finished = trained
    work_dir = tmp_path / 'damaged'
    shutil.copytree(finished, work_dir)
    latest = work_dir / 'iter_4.pth'
    content = bytearray(latest.read_bytes())
    content[len(content) // 2] ^= 1
    latest.write_bytes(content)
    options = ('train_cfg.max_iters=4', 'optim_wrapper.optimizer.lr=0.5')
    result = run('train.py', CONFIG, '--work-dir', work_dir, '--resume', options=options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert f'checkpoint {latest} is damaged' in result.stdout
    assert 'Going on from iter_2.pth' in result.stdout
    assert 'changed, without effect: optim_wrapper.optimizer.lr is 0.5 now' in result.stdout
    assert trained_iterations(result.stdout) == [3, 4]
    weights, expected = (safe_load(folder / 'iter_4.pth') for folder in (work_dir, finished))
    for key, value in expected['state_dict'].items():
        assert torch.equal(weights['state_dict'][key], value)


def test_a_killed_run_resumes(run, command, environment, tmp_path):
    endless = ('train_cfg.max_iters=10000', 'default_hooks.checkpoint.interval=1')
    endless += ('default_hooks.checkpoint.max_keep_ckpts=1', 'train_cfg.val_interval=10000')
    call = command('train.py', CONFIG, '--work-dir', tmp_path, options=endless)
    log = tmp_path / 'log'
    with log.open('w') as output:
        process = subprocess.Popen(call, cwd=REPO, env=environment, stdout=output, stderr=output)
    try:
        wait_for(lambda: len(trained_iterations(log.read_text())) >= 5, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for checkpoint in run_checkpoints(tmp_path):
        safe_load(checkpoint)  # whole
    reached = safe_load(latest_checkpoint(tmp_path))['meta']['iter']
    assert reached >= 4
    options = (f'train_cfg.max_iters={reached + 1}',)
    result = run('train.py', CONFIG, '--work-dir', tmp_path, '--resume', options=options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert trained_iterations(result.stdout) == [reached + 1]


def fill(file: Path, leave: int) -> None:
    """Take the room of a disk, whoever writes to it meanwhile."""
    with file.open('wb', buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(2**20))
    os.truncate(file, max(0, file.stat().st_size - leave))


def test_a_full_disk_ends_in_one_line_and_leaves_what_was_saved(command, environment, tmp_path):
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('no right to mount a small disk')
    try:
        work_dir = tmp_path / 'run'
        options = ('train_cfg.max_iters=100', 'train_cfg.val_interval=900')
        options += ('default_hooks.checkpoint.max_keep_ckpts=-1',)
        call = command('train.py', CONFIG, '--work-dir', work_dir, options=options)
        process = subprocess.Popen(
            call, cwd=REPO, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        wait_for((work_dir / 'iter_2.pth').exists, process)
        fill(tmp_path / 'ballast', leave=2**18)  # for the log, not for a checkpoint
        error = process.communicate(timeout=300)[1].decode()
        assert process.returncode == 1
        assert 'Traceback' not in error
        latest = latest_checkpoint(work_dir)
        safe_load(latest)  # whole
        failed = work_dir / f'iter_{int(latest.stem.removeprefix("iter_")) + 2}.pth'
        message = error.strip().splitlines()[-1]
        assert message.startswith(f'error: the disk is full: {failed} was not written: it needs')
        assert 'bytes too few' in message
        assert not list(work_dir.glob('.*'))
    finally:
        subprocess.run(['umount', '-l', str(tmp_path)], check=True)


def test_amp_trains_on_the_cpu(run, tmp_path):
    options = ('train_cfg.max_iters=2', 'optim_wrapper.accumulative_counts=2')
    result = run(
        'train.py',
        CONFIG,
        '--work-dir',
        tmp_path,
        '--amp',
        options=options,
        CUDA_VISIBLE_DEVICES='',
    )
    assert result.returncode == 0, result.stderr[-2000:]
    wrapper = Config.fromfile(tmp_path / CONFIG.name).optim_wrapper
    assert wrapper.type == 'AutocastOptimWrapper'
    assert wrapper.optimizer.type == 'AdamW'
    assert wrapper.accumulative_counts == 2


def test_mmsegs_own_tool_runs_our_config(run, tmp_path):
    tool = Path(mmseg.__file__).parent / '.mim/tools/train.py'
    if not tool.is_file():
        pytest.skip('this distribution of mmseg comes without its tools')
    options = ('train_cfg.max_iters=2', 'default_hooks.checkpoint.interval=2')
    result = run(tool, CONFIG, '--work-dir', tmp_path, options=options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / 'iter_2.pth').is_file()
    assert (tmp_path / 'curves.png').is_file()
