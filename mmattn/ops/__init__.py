"""Tensor functions with compiled kernels, and modules over them. They need torch alone."""

from mmattn.ops.criss_cross import composed_criss_cross_attention, criss_cross_attention
from mmattn.ops.modules import CrissCrossAttention

__all__ = ['CrissCrossAttention', 'composed_criss_cross_attention', 'criss_cross_attention']
