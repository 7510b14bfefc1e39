"""Functions on feature maps that several mechanisms share."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from mmattn.attention.chunks import CHUNK, attend_in_chunks, plain_attention
from mmattn.ops.autocast import dtype_of_products, without_autocast

_is_exporting = getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)  # torch 2.7
# Scores beyond this number (64 MiB in fp32) are worth a fused kernel on the CPU where chunks are
# no choice.
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
    with without_autocast(first.device.type):
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

    Large S x T maps of scores are kept out of memory: by torch's fused kernels on GPUs and in fp16,
    whose range the scores may leave (the kernels keep theirs in fp32); on the CPU in chunks, and at
    inference in fp32 by the kernels where Cq is C, since they would pad the narrower one.

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
    attend = _choose(query, key, value)
    if attend is _fused_attention:
        out = _fused_attention(query, key, value, scale)
    else:  # a product with 1 would be a copy that the backward keeps
        out = attend(query if scale == 1 else query * scale, key, value)
    return out.transpose(1, 2).unflatten(2, spatial)


def multi_head_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """``softmax(scale * query key^T) value`` in several heads, without a large map of scores.

    By torch's fused kernels. On the CPU in bfloat16 in chunks: the kernel there multiplies no
    faster than in float32. It rounds less, since it keeps scores in float32; chunks are as exact as
    the product, softmax and product under autocast.

    Args:
        query: Shape (B, heads, S, Cq).
        key: Shape (B, heads, T, Cq).
        value: Shape (B, heads, T, C); some kernels need C to be Cq.
        scale: Factor on the scores.

    Returns:
        Tensor of shape (B, heads, S, C).
    """
    if query.device.type == 'cpu' and dtype_of_products(query) == torch.bfloat16:
        of_heads = [x.flatten(0, 1) for x in (query, key, value)]  # often a copy
        if _choose(*of_heads) is attend_in_chunks:
            out = attend_in_chunks(scale * of_heads[0], *of_heads[1:])
            return out.unflatten(0, query.shape[:2])
    return F.scaled_dot_product_attention(query, key, value, scale=scale)


def _choose(query: Tensor, key: Tensor, value: Tensor) -> Callable[..., Tensor]:
    """What attends fastest to maps of these shapes without a large map of scores in memory."""
    dtype, training = dtype_of_products(query), torch.is_grad_enabled()
    if query.device.type != 'cpu' or dtype == torch.float16:
        return _fused_attention
    exported = torch.jit.is_tracing() or _is_exporting()  # files need no operator of ours
    without_chunks = exported or (torch.compiler.is_compiling() and not training)
    tangents = forward_ad._current_level >= 0
    large = _LARGE_MAP if without_chunks else CHUNK
    scores = query.shape[0] * query.shape[1] * key.shape[1]
    if exported and isinstance(scores, torch.SymInt):  # a file for all sizes has one way for them
        return _fused_attention
    if tangents or scores <= large:
        return plain_attention
    fused_pays = query.shape[2] == value.shape[2] and dtype != torch.bfloat16
    fused = without_chunks or (not training and fused_pays)
    return _fused_attention if fused else attend_in_chunks


def _fused_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    missing = value.shape[2] - query.shape[2]
    if query.device.type == 'cpu' and missing > 0:
        # The CPU kernel takes one head width; zero channels do not change the scores.
        query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    query, key, value = (x.unsqueeze(1).contiguous() for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, scale=scale).squeeze(1)
