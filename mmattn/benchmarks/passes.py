"""The two passes in which operators and blocks are measured."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

BACKWARD = 3  # products of forward and backward together, as a multiple of those of the forward


def forward(compute: Callable[..., Tensor], inputs: Sequence[Tensor], grad_out: Tensor) -> Tensor:
    """Inference."""
    with torch.no_grad():
        return compute(*inputs)


def forward_backward(
    compute: Callable[..., Tensor], inputs: Sequence[Tensor], grad_out: Tensor
) -> tuple[Tensor, ...]:
    """A training pass: the output, and the gradients of the inputs and of a module's parameters."""
    leaves = list(inputs)
    if isinstance(compute, torch.nn.Module):
        leaves += compute.parameters()
    out = compute(*inputs)
    return out, *torch.autograd.grad(out, leaves, grad_out, allow_unused=True)


PASSES = {'forward': forward, 'forward+backward': forward_backward}
