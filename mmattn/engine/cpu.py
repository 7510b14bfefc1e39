"""What mmengine leaves to GPUs: mixed precision and several processes, on CPUs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import broadcast
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS, OPTIM_WRAPPERS
from torch import nn

from mmattn.processor import cpu_has_bfloat16


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass and the losses under bfloat16 autocast, on the CPU too.

    mmengine's AmpOptimWrapper refuses the CPU because it scales gradients for float16. bfloat16 has
    the exponent range of float32, so nothing needs scaling; accumulation and clipping stay
    mmengine's. A CPU that has to emulate bfloat16 trains in float32, with a warning: convolutions
    were measured there to take fifty times as long in bfloat16.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.device_type = torch.device(get_device()).type
        self.autocast = self.device_type != 'cpu' or mixed_precision_pays()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        autocast = torch.autocast(self.device_type, torch.bfloat16, enabled=self.autocast)
        with super().optim_context(model), autocast:
            yield


def mixed_precision_pays() -> bool:
    """Whether this CPU is faster in bfloat16; says so in the log where it is not."""
    if cpu_has_bfloat16():
        return True
    print_log(
        'mixed precision is left out: this CPU has no bfloat16, float32 is faster here',
        logger='current',
        level=logging.WARNING,
    )
    return False


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper for a model on the CPU; on a GPU it is mmengine's own.

    torch has no SyncBatchNorm on CPUs: every process normalises by its own part of the batch. The
    running statistics of the first one are saved, and all evaluate with them.
    """

    def __init__(self, module: nn.Module, device_ids: list[int] | None = None, **kwargs: Any):
        # A config written by a run on CPUs may be trained on GPUs.
        self.on_cpu = is_on_cpu(module)
        if self.on_cpu:
            module, device_ids = revert_sync_batchnorm(module), None
        super().__init__(module=module, device_ids=device_ids, **kwargs)

    def train(self, mode: bool = True) -> 'CPUDistributedDataParallel':
        if self.on_cpu and not mode:
            share_buffers(self.module)
        return super().train(mode)


def is_on_cpu(model: nn.Module) -> bool:
    """Whether all weights of a model are on the CPU."""
    return all(x.device.type == 'cpu' for x in model.parameters())


def share_buffers(model: nn.Module) -> None:
    """Give all processes the running statistics of the first one."""
    for buffer in model.buffers():
        broadcast(buffer)
