"""Tensor functions. They need torch alone."""

from mmattn.ops.criss_cross import criss_cross_attention

__all__ = ['criss_cross_attention']
