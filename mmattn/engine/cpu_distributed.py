"""Several processes on CPUs, which mmengine leaves to GPUs."""

from typing import Any

from mmengine.dist import broadcast
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn


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
