"""Necks: attention between the backbone and the head."""

from mmattn.models.necks.aff_fpn import AFFFPN
from mmattn.models.necks.attention_neck import AttentionNeck

__all__ = ['AFFFPN', 'AttentionNeck']
