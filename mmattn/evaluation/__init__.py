"""Metrics; importing this package registers them in mmseg.registry.METRICS."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.evaluation.segmentation_metric import SegmentationMetric  # noqa: E402

__all__ = ['SegmentationMetric']
