"""The passes and the types in which operators and blocks are measured."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmattn.processor import cpu_has_bfloat16

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


def dtypes(device: str) -> dict[str, torch.dtype]:
    """The types that a device computes in fast, by name."""
    found = [torch.float32]
    if device == 'cuda':
        found += [torch.float16, torch.bfloat16]
    elif cpu_has_bfloat16():
        found.append(torch.bfloat16)
    return {str(dtype).removeprefix('torch.'): dtype for dtype in found}


PASSES = {'forward': forward, 'forward+backward': forward_backward}
