"""Several processes on CPUs, which mmengine leaves to GPUs."""

from typing import Any

from mmengine.dist import broadcast
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper for a model on the CPU.

    torch has no SyncBatchNorm there: every process normalises by its own part of the batch. The
    running statistics of the first one are saved, and all evaluate with them.
    """

    def __init__(self, module: nn.Module, device_ids: list[int] | None = None, **kwargs: Any):
        # mmengine passes the GPU's number as device_ids.
        super().__init__(module=revert_sync_batchnorm(module), **kwargs)

    def train(self, mode: bool = True) -> 'CPUDistributedDataParallel':
        if not mode:
            for buffer in self.module.buffers():
                broadcast(buffer)
        return super().train(mode)
