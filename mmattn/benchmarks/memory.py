"""Peak memory of a computation."""

import ctypes
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile


def peak_memory(job: Callable[[], object], device: str) -> int:
    """Bytes allocated at the peak beyond what was there before and what the job returns.

    On a GPU by the statistics of torch's allocator. On the CPU, where there are none, by what torch
    tells its profiler of the calling thread: all but the small scratchpads of other threads.
    """
    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = job()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before - _bytes(result)
    with quiet_profile([ProfilerActivity.CPU], memory=True) as profiler:
        result = job()
    current = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == '[memory]':
            current += event.nbytes()
            peak = max(peak, current)
    return peak - _bytes(result)


def resident_memory(job: Callable[[], object]) -> int | None:
    """Bytes by which the process grows at the peak, what libraries allocate for themselves too.

    Of some MiB and more: the system counts pages. None where it does not tell: it is Linux's
    ``VmHWM``, and glibc's allocator that gives back first what it holds.
    """
    status, reset = Path('/proc/self/status'), Path('/proc/self/clear_refs')
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if reset.exists() else None
    if trim is None:
        return None
    trim(0)
    reset.write_text('5')  # the peak is that from now on
    before = _kilobytes(status, 'VmRSS')
    job()
    return 1024 * max(0, _kilobytes(status, 'VmHWM') - before)


def quiet_profile(activities: Sequence[ProfilerActivity], memory: bool = False) -> profile:
    """torch's profiler, which prints nothing when it starts."""
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    return profile(activities=activities, profile_memory=memory)


def _kilobytes(status: Path, key: str) -> int:
    return int(re.search(rf'^{key}:\s+(\d+) kB', status.read_text(), re.MULTILINE)[1])


def _bytes(result: object) -> int:
    tensors = result if isinstance(result, tuple | list) else (result,)
    return sum(x.nbytes for x in tensors if isinstance(x, Tensor))
