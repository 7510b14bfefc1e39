"""What mmengine leaves to GPUs: mixed precision and several processes, on CPUs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import broadcast
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS, OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass and the losses under bfloat16 autocast, on the CPU too.

    mmengine's AmpOptimWrapper refuses the CPU because it scales gradients for float16. bfloat16 has
    the exponent range of float32, so nothing needs scaling; accumulation and clipping stay
    mmengine's.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device_type = torch.device(get_device()).type
        with super().optim_context(model), torch.autocast(device_type, dtype=torch.bfloat16):
            yield


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper for a model on the CPU; on a GPU it is mmengine's own.

    torch has no SyncBatchNorm on CPUs: every process normalises by its own part of the batch. The
    running statistics of the first one are saved, and all evaluate with them.
    """

    def __init__(self, module: nn.Module, device_ids: list[int] | None = None, **kwargs: Any):
        # A config written by a run on CPUs may be trained on GPUs.
        self.on_cpu = all(x.device.type == 'cpu' for x in module.parameters())
        if self.on_cpu:
            module, device_ids = revert_sync_batchnorm(module), None
        super().__init__(module=module, device_ids=device_ids, **kwargs)

    def train(self, mode: bool = True) -> 'CPUDistributedDataParallel':
        if self.on_cpu and not mode:
            for buffer in self.module.buffers():
                broadcast(buffer)
        return super().train(mode)
