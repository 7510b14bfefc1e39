"""Attention that keeps no map of scores for the backward pass."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mmattn.ops.composition import differentiable_gradients

CHUNK = 2**22  # scores at a time: 16 MiB in float32, about what a last-level cache holds


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``softmax(query key^T) value`` with the whole map of scores.

    Args:
        query: Shape (B, S, Cq).
        key: Shape (B, T, Cq).
        value: Shape (B, T, C).

    Returns:
        Tensor of shape (B, S, C).
    """
    scores = torch.matmul(query, key.transpose(1, 2))
    return torch.matmul(scores.softmax(dim=-1), value)


def attend_in_chunks(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`plain_attention` with a bounded part of the map at a time, in both directions.

    The backward pass computes the scores again, for Cq / (Cq + C) of the forward's products. A
    second derivative takes `plain_attention`.
    """
    kind = query.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        query, key, value = (x.to(dtype) for x in (query, key, value))
    with torch.autocast(kind, enabled=False):
        return _Chunked.apply(query, key, value)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = query.new_empty(*query.shape[:2], value.shape[2])
        for k, v, q, o in _chunks((key, value), (query, out)):
            o.copy_(torch.bmm(_weights(q, k), v))
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # a graph of the gradients is asked for
            return differentiable_gradients(
                plain_attention, ctx.saved_tensors, ctx.needs_input_grad, grad
            )
        query, key, value = ctx.saved_tensors
        grads = tuple(x.new_zeros(x.shape) for x in (query, key, value))
        for parts in _chunks((key, value, *grads[1:]), (query, grad, grads[0])):
            _add_grads(*parts)
        return grads


def _add_grads(
    key: Tensor,
    value: Tensor,
    grad_key: Tensor,
    grad_value: Tensor,
    query: Tensor,
    grad: Tensor,
    grad_query: Tensor,
) -> None:
    """Write the gradient of a chunk of queries, add what it gives those of key and value."""
    weights = _weights(query, key)
    grad_value.baddbmm_(weights.transpose(1, 2), grad)
    towards = torch.bmm(grad, value.transpose(1, 2))
    scores = torch._softmax_backward_data(towards, weights, -1, weights.dtype)
    grad_query.copy_(torch.bmm(scores, key))
    grad_key.baddbmm_(scores.transpose(1, 2), query)


def _chunks(keys: tuple[Tensor, ...], queries: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Parts of maps of the keys and of the queries, by images and rows, with few scores each."""
    (batch, rows), columns = queries[0].shape[:2], keys[0].shape[1]
    images = max(1, CHUNK // (rows * columns))
    for image in range(0, batch, images):
        # As they are where they are written; else once for all products, which would pack them.
        of_keys = [x[image : image + images].contiguous() for x in keys]
        of_queries = [x[image : image + images].contiguous() for x in queries]
        for parts in zip(*(x.split(max(1, CHUNK // columns), 1) for x in of_queries), strict=True):
            yield *of_keys, *parts


def _weights(query: Tensor, key: Tensor) -> Tensor:
    return torch.bmm(query, key.transpose(1, 2)).softmax(dim=2)
