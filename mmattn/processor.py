"""What torch's kernels find in this machine's processor, and how much of it there is."""

import os

import torch


def cpu_has_bfloat16() -> bool:
    """Whether torch's convolutions and products in bfloat16 have fast kernels on this CPU."""
    if not torch.backends.mkldnn.is_available():  # not built with oneDNN: it has not the operator
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def cores_of_process() -> int:
    """Usable cores for each of the processes that torchrun started on this machine; 1 at least."""
    return max(1, usable_cores() // int(os.environ.get('LOCAL_WORLD_SIZE', 1)))


def usable_cores() -> int:
    """Cores that this process may run on, which are fewer than the machine's in many a job."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
