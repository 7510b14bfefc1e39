"""Processes of one run end together, with nothing open between them."""

import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from mmattn.engine.processes import together

WORLD = 2


def runs(rank: int, folder: Path) -> None:
    def open_group(name: str) -> None:
        store = f'file://{folder}/{name}'
        dist.init_process_group('gloo', init_method=store, rank=rank, world_size=WORLD)
        dist.barrier()  # none leaves before the other has connected

    with together():
        open_group('first')
        time.sleep(1 - rank)  # the last work of the first process
        (folder / f'{rank} is done').touch()
    assert len(list(folder.glob('* is done'))) == WORLD
    assert not dist.is_initialized()

    for ending in (SystemExit, KeyboardInterrupt):  # as signals end a run
        with pytest.raises(ending), together():
            open_group(ending.__name__)
            raise ending
        assert not dist.is_initialized()

    open_group('of the caller')
    with together():
        dist.barrier()
    assert dist.is_initialized()
    dist.barrier()
    dist.destroy_process_group()


def test_what_a_run_opened_is_closed_when_all_have_come_to_its_end(tmp_path):
    torch.multiprocessing.start_processes(runs, (tmp_path,), WORLD, start_method='fork')
