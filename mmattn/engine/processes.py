"""Several processes of one run end together."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist
from mmengine.dist import get_rank, get_world_size

from mmattn.errors import add_hint

ROLL_CALL = 5  # seconds


@contextmanager
def together() -> Iterator[None]:
    """A block that no process leaves before all have come to its end.

    A process that leaves first takes its connections with it, and torch's threads may end it by
    SIGABRT, upon which a launcher ends the others in the middle of their work. The process group is
    closed here, if it was opened in the block; not after an error, when others may still be at work
    and NCCL would wait for them. Where one process has stopped, the error says which.
    """
    opened_before = dist.is_initialized()
    try:
        yield
        if dist.is_initialized():
            dist.barrier()
    except RuntimeError as error:
        if dist.is_initialized() and 'timed out' in str(error).lower():
            add_hint(error, _who_is_missing())
        raise
    except (SystemExit, KeyboardInterrupt):  # all were asked to leave
        _close(opened_before)
        raise
    _close(opened_before)


def _close(opened_before: bool) -> None:
    if dist.is_initialized() and not opened_before:
        dist.destroy_process_group()


def _who_is_missing() -> str:
    """Every process that waited in vain answers in the store that all met by; one does not."""
    store = dist.distributed_c10d._get_default_store()
    key = 'mmattn/waited in vain/{}'
    store.set(key.format(get_rank()), 'yes')
    time.sleep(ROLL_CALL)  # the others waited as long, but for moments
    missing = [rank for rank in range(get_world_size()) if not store.check([key.format(rank)])]
    who = f'process {", ".join(map(str, missing))}' if missing else 'a process'
    return (
        f'hint: {who} of {get_world_size()} has stopped, and the others waited until the time was '
        'up (env_cfg.dist_cfg.timeout, in seconds). Look at its log and its machine; a longer time '
        'helps only where one process has much more to do than the others'
    )
