"""Criss-cross attention out of PyTorch's own operators, and gradients by composition."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmattn.ops.autocast import without_autocast


def composed_criss_cross_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`criss_cross_attention` out of PyTorch's own operators: any device, dtype and exporter."""
    height = query.shape[2]
    column_scores = torch.matmul(query.permute(0, 3, 2, 1), key.permute(0, 3, 1, 2))
    position = torch.arange(height, device=query.device)
    # The pixel itself is in its row already.
    column_scores = column_scores.masked_fill(position[:, None] == position, float('-inf'))
    row_scores = torch.matmul(query.permute(0, 2, 3, 1), key.permute(0, 2, 1, 3))
    scores = torch.cat([column_scores.transpose(1, 2), row_scores], dim=-1)
    attention = scores.softmax(dim=-1).to(scores.dtype)
    column, row = attention.split([height, query.shape[3]], dim=-1)
    from_column = torch.matmul(column.transpose(1, 2), value.permute(0, 3, 2, 1))
    from_row = torch.matmul(row, value.permute(0, 2, 3, 1))
    return from_column.permute(0, 3, 2, 1) + from_row.permute(0, 3, 1, 2)


def differentiable_gradients(
    composition: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    needed: Sequence[bool],
    grad_out: Tensor,
) -> tuple[Tensor | None, ...]:
    """Gradients of a composition that can be differentiated again.

    For the backward pass of a faster implementation when a graph of the gradients is asked for.

    Args:
        composition: Function of the inputs, out of differentiable operators.
        inputs: Of the faster implementation, as it saved them.
        needed: Which inputs need a gradient.
        grad_out: Gradient of the output.

    Returns:
        A gradient for each input that needs one, None for the others.
    """
    views = [x.view_as(x) for x in inputs]  # since two inputs may be one tensor
    asked = [x for x, need in zip(views, needed, strict=True) if need]
    # Autocast was applied to the inputs already.
    with without_autocast(grad_out.device.type):
        found = iter(torch.autograd.grad(composition(*views), asked, grad_out, create_graph=True))
    return tuple(next(found) if need else None for need in needed)
