"""The order in which tensors that belong to a weight lie in memory.

torch's fused optimizers walk through a weight, its gradient and its state side by side, whatever
their strides: where these differ the step is wrong, without a word. A checkpoint keeps the strides
of the run that wrote it, and a run in another layout may go on from it.
"""

import torch
from torch import Tensor
from torch.optim import Optimizer


def laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """``value``, of the shape of ``weight``, on its device and with its strides."""
    return torch.empty_like(weight, dtype=value.dtype).copy_(value)


def lay_out_state(optimizer: Optimizer) -> None:
    """Give the state of an optimizer the strides of its weights."""
    for weight, entries in optimizer.state.items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                entries[key] = laid_out_as(weight, value)
