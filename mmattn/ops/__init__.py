"""Tensor functions with kernels or gradients of their own. They need torch alone."""

from mmattn.ops.composition import composed_criss_cross_attention
from mmattn.ops.criss_cross import criss_cross_attention
from mmattn.ops.cross_entropy import upsampled_cross_entropy

__all__ = [
    'composed_criss_cross_attention',
    'criss_cross_attention',
    'upsampled_cross_entropy',
]
