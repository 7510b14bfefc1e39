"""Losses beside those of MMSegmentation."""

from mmattn.models.losses.category_consistent_loss import CategoryConsistentLoss

__all__ = ['CategoryConsistentLoss']
