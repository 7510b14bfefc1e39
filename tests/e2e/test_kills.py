"""Runs that are killed again and again end as one that never was."""

import multiprocessing
import os
import random
import signal
import sys
import time
from argparse import ArgumentParser
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from mmengine.config import DictAction

from mmattn.apis import train
from mmattn.engine.checkpoints import safe_load
from mmattn.engine.hooks.curve import scalar_files
from mmattn.engine.record import run_checkpoints
from mmattn.visualization.curves import read_curves

from .conftest import CONFIG, SMALL

KILLS = 21
ITERATIONS = 90
OPTIONS = (
    *SMALL,
    f'train_cfg.max_iters={ITERATIONS}',
    'train_cfg.val_interval=5',
    'default_hooks.checkpoint.save_best=mIoU',
    'val_dataloader.dataset.indices=2',
    # Small pictures, random in scale, place and side; dropout in the heads.
    'train_dataloader.dataset.pipeline.2.scale=(96,48)',
    'train_dataloader.dataset.pipeline.3.crop_size=(32,64)',
    'model.data_preprocessor.size=(32,64)',
    'model.decode_head.dropout_ratio=0.2',
    'optim_wrapper.optimizer.lr=0.003',
)
DEADLINE = 600  # seconds for what takes a few where nothing else runs


def start(work_dir: Path, log: Path, workers: int, resume: bool) -> BaseProcess:
    """A training in a process of its own; forked, so that it begins without imports."""
    options = (
        *OPTIONS,
        f'train_dataloader.num_workers={workers}',
        f'train_dataloader.persistent_workers={workers > 0}',
    )
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    parsed = parser.parse_args(['--cfg-options', *options]).cfg_options

    def run() -> None:
        os.setpgid(0, 0)
        with log.open('w', buffering=1) as output:
            sys.stdout = sys.stderr = output
            torch.set_num_threads(1)
            train(
                CONFIG,
                work_dir=work_dir,
                resume=resume or None,
                cfg_options=parsed,
                deterministic=True,
                check_data='off',
            )

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    return process


def finish(process: BaseProcess, log: Path) -> None:
    process.join(DEADLINE)
    assert process.exitcode == 0, log.read_text()[-3000:]


def wait_for(happened, process: BaseProcess, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while not happened():
        assert process.is_alive() and time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.0005)


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_as_one_that_never_was(environment, tmp_path, monkeypatch):
    monkeypatch.setenv('MMATTN_DATA', environment['MMATTN_DATA'])
    whole, killed, log = tmp_path / 'whole', tmp_path / 'killed', tmp_path / 'log'
    killed.mkdir()
    finish(start(whole, log, 0, resume=False), log)

    def unfinished() -> list[Path]:
        return list(killed.glob('.*-iter_*.pth'))

    def log_has(text: str) -> bool:
        return log.is_file() and text in log.read_text()

    moments = random.Random(7)
    seen = {'write': 0, 'validation': 0, 'anywhere': 0}
    for number in range(KILLS):
        kind = list(seen)[number % 3]
        process = start(killed, log, number // 3 % 3, resume=bool(run_checkpoints(killed)))
        if kind == 'write':
            for _ in range(2):  # the second one, so that the first makes progress
                wait_for(lambda: not unfinished(), process, log)
                wait_for(unfinished, process, log)
            time.sleep(moments.uniform(0, 0.004))
        elif kind == 'validation':
            wait_for(lambda: log_has('Iter(val) [1/'), process, log)
        else:
            wait_for(lambda: log_has('Iter(train)'), process, log)
            time.sleep(moments.uniform(0, 0.5))
        os.killpg(process.pid, signal.SIGKILL)  # with its workers, as a power cut
        process.join()
        assert process.exitcode == -signal.SIGKILL, 'the run was over before it was killed'
        seen[kind] += bool(unfinished()) if kind == 'write' else 1
        for file in killed.glob('[!.]*.pth'):
            safe_load(file)  # whole
        log.unlink()
    print(f'kills while writing, while validating, anywhere: {list(seen.values())}')
    assert seen['write'] >= 1 and seen['validation'] == KILLS // 3

    finish(start(killed, log, 1, resume=True), log)
    assert names(killed) == names(whole)
    for file in whole.glob('*.pth'):
        one, other = safe_load(file), safe_load(killed / file.name)
        for key, value in one['state_dict'].items():
            assert torch.equal(value, other['state_dict'][key]), (file.name, key)
        infos = [state['message_hub']['runtime_info'] for state in (one, other)]
        for key in ('metrics_so_far', 'best_score', 'samples_drawn'):
            assert infos[0][key] == infos[1][key], (file.name, key)
    assert read_curves(scalar_files(killed)) == read_curves(scalar_files(whole))


def names(folder: Path) -> list[str]:
    """The files of a run, without those of its starts."""
    return sorted(file.name for file in folder.iterdir() if file.is_file())
