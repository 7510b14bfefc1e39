"""The criss-cross operator for torch's dispatcher: schema, shapes, gradient, autocast, FLOPs.

The kernels come from `mmattn._ext`, which registers them for CPU and CUDA.
"""

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from mmattn.ops.composition import composed_criss_cross_attention, differentiable_gradients

NAME = 'mmattn::criss_cross_attention'
BACKWARD = 'mmattn::criss_cross_attention_backward'
_TAGS = (torch.Tag.pt2_compliant_tag,)

torch.library.define(
    NAME,
    '(Tensor query, Tensor key, Tensor value) -> (Tensor out, Tensor log_sum_exp)',
    tags=_TAGS,
)
torch.library.define(
    BACKWARD,
    '(Tensor grad_out, Tensor query, Tensor key, Tensor value, Tensor out, Tensor log_sum_exp)'
    ' -> (Tensor grad_query, Tensor grad_key, Tensor grad_value)',
    tags=_TAGS,
)


def _like(x: Tensor) -> Tensor:
    """As the kernels allocate: dense in one of the two memory formats."""
    if x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return torch.empty_like(x)
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.register_fake(NAME)
def _(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    batch, _, height, width = value.shape
    dtype = torch.float64 if value.device.type == 'cpu' else torch.float32
    return _like(value), value.new_empty((batch, height, width), dtype=dtype)


@torch.library.register_fake(BACKWARD)
def _(
    grad_out: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, log_sum_exp: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return _like(query), _like(key), _like(value)


def _setup_context(ctx, inputs, output) -> None:
    out, log_sum_exp = output
    ctx.mark_non_differentiable(log_sum_exp)
    if out.device.type == 'cpu':  # whose kernel does without the output
        out = out.new_empty(0)
    ctx.save_for_backward(*inputs, out, log_sum_exp)


def _backward(ctx, grad_out: Tensor, _) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():  # the gradients are to be differentiated, which the kernel cannot
        return differentiable_gradients(
            composed_criss_cross_attention, ctx.saved_tensors[:3], ctx.needs_input_grad, grad_out
        )
    return torch.ops.mmattn.criss_cross_attention_backward(grad_out, *ctx.saved_tensors)


torch.library.register_autograd(NAME, _backward, setup_context=_setup_context)


def _with_autocast(device_type: str):
    """As for matrix products: floating tensors but float64 take the dtype of autocast."""

    def kernel(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        dtype = torch.get_autocast_dtype(device_type)
        cast = [x if x.dtype == torch.float64 else x.to(dtype) for x in tensors]
        with torch.autocast(device_type, enabled=False):
            return torch.ops.mmattn.criss_cross_attention(*cast)

    return kernel


def composed_operator(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """The operator out of PyTorch's own, which have all derivatives and batching rules."""
    out = composed_criss_cross_attention(query, key, value)
    return out, out.new_empty(0)  # the sums serve the backward kernel


_RULES = torch.library.Library('mmattn', 'IMPL')
_RULES.impl('criss_cross_attention', _with_autocast('cpu'), 'AutocastCPU')
_RULES.impl('criss_cross_attention', _with_autocast('cuda'), 'AutocastCUDA')
# What comes first under any transform of torch.func.
_RULES.impl('criss_cross_attention', composed_operator, 'FuncTorchDynamicLayerFrontMode')


@register_flop_formula(torch.ops.mmattn.criss_cross_attention)
def _flops(query: torch.Size, key: torch.Size, value: torch.Size, *_, **__) -> int:
    return _pairs(query) * 2 * (query[1] + value[1])


@register_flop_formula(torch.ops.mmattn.criss_cross_attention_backward)
def _backward_flops(
    grad_out: torch.Size, query: torch.Size, key: torch.Size, value: torch.Size, *_, **__
) -> int:
    return _pairs(query) * 2 * (3 * query[1] + 2 * value[1])  # the scores are computed again


def _pairs(query: torch.Size) -> int:
    batch, _, height, width = query
    return batch * height * width * (height + width)
