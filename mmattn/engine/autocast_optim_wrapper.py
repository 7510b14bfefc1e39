"""Mixed precision without a gradient scaler."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
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
