"""Attention that keeps no map of scores for the backward pass: `mmattn::dot_product_attention`."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from mmattn.ops.autocast import dtype_of_products, without_autocast
from mmattn.ops.composition import differentiable_gradients

CHUNK = 2**22  # scores at a time: 16 MiB in float32, about what a last-level cache holds
NAME = 'mmattn::dot_product_attention'
BACKWARD = 'mmattn::dot_product_attention_backward'
_SUMMANDS = 4  # of gradients in half precision, before they go into a sum in float32
_HALF = (torch.bfloat16, torch.float16)
_TAGS = (torch.Tag.pt2_compliant_tag,)

torch.library.define(NAME, '(Tensor query, Tensor key, Tensor value) -> Tensor', tags=_TAGS)
torch.library.define(
    BACKWARD,
    '(Tensor grad_out, Tensor query, Tensor key, Tensor value)'
    ' -> (Tensor grad_query, Tensor grad_key, Tensor grad_value)',
    tags=_TAGS,
)


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
    second derivative and transforms of `torch.func` take `plain_attention`. Compilers keep the
    operator as it is. It has no forward-mode derivative.
    """
    query, key, value = (x.to(dtype_of_products(x)) for x in (query, key, value))
    with without_autocast(query.device.type):
        return torch.ops.mmattn.dot_product_attention(query, key, value)


@torch.library.impl(NAME, 'default')
def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    out = query.new_empty(*query.shape[:2], value.shape[2])
    for (k, v), rows in _chunks((key, value), (query, out)):
        for q, o in rows:
            o.copy_(torch.bmm(_weights(q, k), v))
    return out


@torch.library.impl(BACKWARD, 'default')
def _gradients(
    grad_out: Tensor, query: Tensor, key: Tensor, value: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    grads = tuple(x.new_zeros(x.shape) for x in (query, key, value))
    for of_keys, rows in _chunks((key, value, *grads[1:]), (query, grad_out, grads[0])):
        _sum_rows(of_keys, rows)
    return grads


def _sum_rows(of_keys: tuple[Tensor, ...], rows: list[tuple[Tensor, ...]]) -> None:
    """What all rows of some images give; sums of many in half precision are taken in float32."""
    sums = of_keys[2:]
    wide = [x.float() for x in sums] if sums[0].dtype in _HALF and len(rows) > _SUMMANDS else []
    for number, of_queries in enumerate(rows, 1):
        _add_grads(*of_keys, *of_queries)
        if wide and (number % _SUMMANDS == 0 or number == len(rows)):
            for part, total in zip(sums, wide, strict=True):
                total += part
                part.zero_()
    if wide:
        for part, total in zip(sums, wide, strict=True):
            part.copy_(total)


@torch.library.register_fake(NAME)
def _(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return query.new_empty(*query.shape[:2], value.shape[2])


@torch.library.register_fake(BACKWARD)
def _(grad_out: Tensor, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    return tuple(x.new_empty(x.shape) for x in (query, key, value))


def _setup_context(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():  # a graph of the gradients is asked for
        return differentiable_gradients(
            plain_attention, ctx.saved_tensors, ctx.needs_input_grad, grad_out
        )
    return torch.ops.mmattn.dot_product_attention_backward(grad_out, *ctx.saved_tensors)


torch.library.register_autograd(NAME, _backward, setup_context=_setup_context)
_RULES = torch.library.Library('mmattn', 'IMPL')
# What comes first under any transform of torch.func.
_RULES.impl('dot_product_attention', plain_attention, 'FuncTorchDynamicLayerFrontMode')


@register_flop_formula(torch.ops.mmattn.dot_product_attention)
def _flops(query: torch.Size, key: torch.Size, value: torch.Size, *_, **__) -> int:
    return 2 * query[0] * query[1] * key[1] * (query[2] + value[2])


@register_flop_formula(torch.ops.mmattn.dot_product_attention_backward)
def _backward_flops(
    grad_out: torch.Size, query: torch.Size, key: torch.Size, value: torch.Size, *_, **__
) -> int:
    return 2 * query[0] * query[1] * key[1] * (3 * query[2] + 2 * value[2])


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


def _chunks(
    keys: tuple[Tensor, ...], queries: tuple[Tensor, ...]
) -> Iterator[tuple[tuple[Tensor, ...], list[tuple[Tensor, ...]]]]:
    """Some images of maps of the keys, and of the queries parts of their rows with few scores."""
    (batch, rows), columns = queries[0].shape[:2], keys[0].shape[1]
    images = max(1, CHUNK // (rows * columns))
    for image in range(0, batch, images):
        # As they are where they are written; else once for all products, which would pack them.
        of_keys = tuple(x[image : image + images].contiguous() for x in keys)
        of_queries = (x[image : image + images].contiguous() for x in queries)
        parts = (x.split(max(1, CHUNK // columns), 1) for x in of_queries)
        yield of_keys, list(zip(*parts, strict=True))


def _weights(query: Tensor, key: Tensor) -> Tensor:
    return torch.bmm(query, key.transpose(1, 2)).softmax(dim=2)
