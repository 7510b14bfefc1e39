"""Functions on feature maps that several mechanisms share."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mmattn.attention.chunks import CHUNK, attend_in_chunks, plain_attention

# Scores beyond this number (64 MiB in fp32) are worth a fused kernel on the CPU at inference.
_LARGE_MAP = 2**24


def in_float32(function: Callable[..., Tensor], first: Tensor, *others: Tensor) -> Tensor:
    """``function(first, *others)`` in float32 at least, under autocast too; for sums over channels
    or pixels, which leave the range of fp16.

    Args:
        function: Takes the tensors in the wide dtype.
        first: float64 stays float64, all else becomes float32; names the dtype of the result.
        others: Brought to the same wide dtype.
    """
    wide = torch.promote_types(first.dtype, torch.float32)
    with torch.autocast(first.device.type, enabled=False):
        return function(*(x.to(wide) for x in (first, *others))).to(first.dtype)


def with_pooled_queries(attend: Callable[[Tensor], Tensor], x: Tensor, scale: int) -> Tensor:
    """``attend`` on the map of the queries pooled by its maximum, the result resized back.

    Args:
        attend: (B, C, h, w) -> (B, D, h, w).
        x: Shape (B, C, H, W).
        scale: Factor between H, W and h, w; at 1 nothing is pooled or resized.

    Returns:
        Tensor of shape (B, D, H, W), resized bilinearly (align_corners=True).
    """
    if scale == 1:
        return attend(x)
    out = attend(F.max_pool2d(x, scale))
    return F.interpolate(out, x.shape[2:], mode='bilinear', align_corners=True)


def dot_product_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Single-head attention between two feature maps: ``softmax(scale * query^T key) value``.

    Large S x T maps of scores are kept out of memory: by torch's fused kernels on GPUs, in fp16,
    whose range the scores may leave (the kernels keep theirs in fp32), and on the CPU at inference;
    in chunks in training there, for which the kernels are slow.

    Args:
        query: Shape (B, Cq, *S), S being one or two spatial sizes.
        key: Shape (B, Cq, *T).
        value: Shape (B, C, *T).
        scale: Factor on the scores.

    Returns:
        Tensor of shape (B, C, *S).
    """
    spatial = query.shape[2:]
    query, key, value = (x.flatten(2).transpose(1, 2) for x in (query, key, value))
    on_cpu = query.device.type == 'cpu'
    scores = query.shape[0] * query.shape[1] * key.shape[1]
    training = torch.is_grad_enabled()
    if not on_cpu or _computes_in_fp16(query) or (scores > _LARGE_MAP and not training):
        out = _fused_attention(query, key, value, scale, equal_widths=on_cpu)
    else:
        in_chunks = training and scores > CHUNK and not torch.compiler.is_compiling()
        attend = attend_in_chunks if in_chunks else plain_attention
        # A product with 1 would be a copy that the backward keeps.
        out = attend(query if scale == 1 else query * scale, key, value)
    return out.transpose(1, 2).unflatten(2, spatial)


def _computes_in_fp16(x: Tensor) -> bool:
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type) == torch.float16
    return x.dtype == torch.float16


def _fused_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float, equal_widths: bool
) -> Tensor:
    missing = value.shape[2] - query.shape[2]
    if equal_widths and missing > 0:
        # The CPU kernel takes one head width; zero channels do not change the scores.
        query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    query, key, value = (x.unsqueeze(1).contiguous() for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, scale=scale).squeeze(1)
