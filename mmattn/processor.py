"""What torch's kernels find in this machine's processor, and how much of it there is."""

import os
from pathlib import Path

import torch


def cpu_has_bfloat16() -> bool:
    """Whether torch's convolutions and products in bfloat16 have fast kernels on this CPU."""
    if not torch.backends.mkldnn.is_available():  # not built with oneDNN: it has not the operator
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def limit_to_avx2() -> None:
    """Keep torch from wider instructions, with which it adds the same numbers in another order.

    Serves a process that has not computed anything yet, and those that it starts. torch reads the
    variables at its first kernel.
    """
    os.environ.update(ONEDNN_MAX_CPU_ISA='AVX2', MKL_ENABLE_INSTRUCTIONS='AVX2')
    info = Path('/proc/cpuinfo')
    if info.is_file() and 'avx512' in info.read_text():  # torch would not check what is set
        os.environ['ATEN_CPU_CAPABILITY'] = 'avx2'


def cores_of_process() -> int:
    """Usable cores for each of the processes that torchrun started on this machine; 1 at least."""
    return max(1, usable_cores() // int(os.environ.get('LOCAL_WORLD_SIZE', 1)))


def usable_cores() -> int:
    """Cores that this process may run on, which are fewer than the machine's in many a job."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
