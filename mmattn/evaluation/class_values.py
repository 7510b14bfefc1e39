"""The values of each class, which mmseg's IoUMetric computes for its table and then forgets."""

import math
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import Evaluator
from mmseg.evaluation import IoUMetric


def keep_class_values(evaluator: Evaluator) -> dict[str, np.ndarray]:
    """Make the IoUMetrics of an evaluator keep them in the dict that is returned.

    It is empty until they are computed, which is in the first process alone. Then its entries are
    `IoU`, `Acc` and so on: a value of 0 to 1 for each class, NaN for a class that neither labels
    nor predictions hold.
    """
    kept = {}
    for metric in evaluator.metrics:
        if isinstance(metric, IoUMetric):
            metric.total_area_to_metrics = _keeping(metric.total_area_to_metrics, kept)
    return kept


def percent_of_classes(
    values: dict[str, np.ndarray], name: str, classes: Sequence[str]
) -> dict[str, float | None]:
    """Class names to percent, rounded as in mmseg's table; None, which JSON has, for NaN."""
    percents = (100 * float(value) for value in values.get(name, ()))
    rounded = (None if math.isnan(percent) else round(percent, 2) for percent in percents)
    return dict(zip(classes, rounded, strict=False))


def _keeping(compute, kept: dict):
    def compute_and_keep(*args, **kwargs):
        values = compute(*args, **kwargs)
        kept.update(values)
        return values

    return compute_and_keep
