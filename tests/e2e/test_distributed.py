"""The tools as several processes on the CPU, through torchrun."""

import json
import re
import socket
import subprocess
import sys

import pytest

from mmattn.preflight.checkpoint import latest_checkpoint

from .conftest import CONFIG, REPO


@pytest.fixture
def run_three(command, environment):
    """Run a tool as three processes, a number that does not divide the 16 validation images."""

    def run_three(*args, options: tuple[str, ...] = ()) -> str:
        torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
        call = command(*args, '--launcher', 'pytorch', options=options)[1:]
        result = subprocess.run(
            [*torchrun, '--nproc_per_node', '3', *call],
            capture_output=True,
            text=True,
            cwd=REPO,
            timeout=600,
            env={**environment, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'},
        )
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
        return result.stdout

    return run_three


@pytest.mark.slow
def test_processes_train_resume_and_evaluate_as_one(run_three, run, tmp_path):
    call = ('train.py', CONFIG, '--work-dir', tmp_path, '--seed', '1')
    options = (
        'model.backbone.norm_cfg.type=SyncBN',
        'model_wrapper_cfg.type=MMDistributedDataParallel',
    )
    printed = run_three(*call, options=(*options, 'train_cfg.max_iters=2'))
    assert printed.count('Training is done') == 1
    printed = run_three(*call, '--resume', options=(*options, 'train_cfg.max_iters=4'))
    assert re.search(r'Iter\(train\) \[3/4\]', printed)
    assert not re.search(r'Iter\(train\) \[1/4\]', printed)

    checkpoint = latest_checkpoint(tmp_path)
    reports = []
    for name, run_test in (('three', run_three), ('one', run)):
        out = tmp_path / name
        run_test('test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'work', '--out', out)
        assert len(list(out.glob('*.png'))) == 16
        reports.append(json.loads((out / 'metrics.json').read_text())['metrics'])
    assert reports[0] == reports[1]
    last = re.search(r'mIoU +last (\S+),', printed)[1]
    assert f'{reports[0]["mIoU"]:.2f}' == last


def test_processes_of_slurm_evaluate_together(trained, command, environment, tmp_path):
    _, work_dir = trained
    scontrol = tmp_path / 'scontrol'  # names the machines of a job
    scontrol.write_text('#!/bin/sh\necho localhost\n')
    scontrol.chmod(0o755)
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    call = command(
        'test.py',
        CONFIG,
        latest_checkpoint(work_dir),
        '--work-dir',
        tmp_path,
        '--launcher',
        'slurm',
    )
    slurm = {'SLURM_NTASKS': '2', 'SLURM_JOB_NODELIST': 'here', 'MASTER_PORT': str(port)}
    slurm |= {'PATH': f'{tmp_path}:{environment["PATH"]}', 'CUDA_VISIBLE_DEVICES': ''}
    processes = [
        subprocess.Popen(
            call,
            cwd=REPO,
            env={**environment, **slurm, 'SLURM_PROCID': str(rank), 'SLURM_LOCALID': str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed, errors = zip(*(process.communicate(timeout=300) for process in processes), strict=True)
    assert [process.returncode for process in processes] == [0, 0], errors
    assert [text.count('mIoU: ') for text in printed] == [1, 0]  # the first one prints for both
