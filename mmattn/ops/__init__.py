"""Tensor functions with compiled kernels. They need torch alone."""

from mmattn.ops.criss_cross import composed_criss_cross_attention, criss_cross_attention

__all__ = ['composed_criss_cross_attention', 'criss_cross_attention']
