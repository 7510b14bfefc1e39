"""Criss-cross attention (CCNet, https://arxiv.org/abs/1811.11721, section 3.2)."""

import warnings
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad

from mmattn.ops import library  # noqa: F401  (defines torch.ops.mmattn)
from mmattn.ops.composition import composed_criss_cross_attention
from mmattn.ops.extension import EXTENSION

_KERNEL_DTYPES = {
    'cpu': (torch.float32, torch.float64, torch.bfloat16, torch.float16),
    'cuda': (torch.float32, torch.bfloat16, torch.float16),
}


def criss_cross_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend from every pixel to the pixels of its own column and row.

    One softmax runs over the H + W - 1 pixels of the cross (the pixel itself counts once); scores
    are plain dot products, not scaled, as in the paper.

    Runs as a compiled kernel where there is one for the device and dtype, which for the backward
    pass keeps its inputs, one number a pixel and on CUDA its output; otherwise as
    `composed_criss_cross_attention`. `python -m mmattn.ops` tells which. ONNX export, transforms of
    `torch.func` and forward-mode differentiation take the composition, and so do gradients that are
    to be differentiated again (``create_graph=True``).

    Cost: B * H * W * (H + W) scores, where full self-attention has B * (H * W)**2.

    Args:
        query: Queries, shape (B, Cq, H, W).
        key: Keys, shape (B, Cq, H, W).
        value: Values, shape (B, C, H, W).

    Returns:
        Tensor of shape (B, C, H, W), in the dtype that matrix products have here (under autocast
        the autocast dtype). Differentiable any number of times.

    Raises:
        TypeError: The tensors differ in dtype or device, or are not of floating point.
        ValueError: The shapes do not fit together, or a tensor is empty.
    """
    _check_inputs(query, key, value)
    if _has_kernel(query):
        return torch.ops.mmattn.criss_cross_attention(query, key, value)[0]
    return composed_criss_cross_attention(query, key, value)


def _has_kernel(query: Tensor) -> bool:
    device = query.device.type
    if query.dtype not in _KERNEL_DTYPES.get(device, ()) or torch.onnx.is_in_onnx_export():
        return False
    if forward_ad._current_level >= 0:  # tangents, which the kernel would drop
        return False
    if device in EXTENSION.devices:
        return True
    if not torch.compiler.is_compiling():
        _warn_once(device)
    return False


@cache
def _warn_once(device: str) -> None:
    warnings.warn(
        f'criss-cross attention runs on its slower PyTorch implementation on {device}: '
        f'{EXTENSION.missing(device)}',
        stacklevel=4,
    )


def _check_inputs(query: Tensor, key: Tensor, value: Tensor) -> None:
    shapes = f'query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)}'
    if query.dim() != 4 or key.dim() != 4 or value.dim() != 4:
        raise ValueError(f'query, key and value must be (B, C, H, W), got {shapes}')
    if query.shape != key.shape:
        raise ValueError(f'query and key must have one shape (B, Cq, H, W), got {shapes}')
    if value.shape[0] != query.shape[0] or value.shape[2:] != query.shape[2:]:
        raise ValueError(f'value must share B, H and W with query and key, got {shapes}')
    if query.numel() == 0 or value.numel() == 0:
        raise ValueError(f'query, key and value must not be empty, got {shapes}')
    if not query.dtype == key.dtype == value.dtype:
        raise TypeError(
            f'query, key and value must have one dtype, got {query.dtype}, {key.dtype} and '
            f'{value.dtype}'
        )
    if not query.is_floating_point():
        raise TypeError(f'query, key and value must be floating point, got {query.dtype}')
    if not query.device == key.device == value.device:
        raise TypeError(
            f'query, key and value must be on one device, got {query.device}, {key.device} and '
            f'{value.device}'
        )
