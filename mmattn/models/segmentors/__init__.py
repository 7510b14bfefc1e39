"""Segmentors beside those of MMSegmentation."""

from mmattn.models.segmentors.ground_truth_cascade import GroundTruthCascade

__all__ = ['GroundTruthCascade']
