"""Scores from areas, and how sure they are."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

CONFIDENCE = 0.95
T = TypeVar('T')


def miou_of(metrics: Mapping[str, T]) -> T | None:
    """The mIoU among values by name, where it may have a prefix, as in `rare/mIoU`: the first."""
    names = (name for name in metrics if name == 'mIoU' or name.endswith('/mIoU'))
    return next((metrics[name] for name in names), None)


def class_scores(areas: np.ndarray, nan_to_num: float | None = None) -> dict[str, np.ndarray]:
    """IoU, Precision, Recall and Dice of each class, 0 to 1; BoundaryIoU where it was counted.

    Args:
        areas: Pixels, of shape (..., 4 or 6, classes): intersection, union, predicted, labelled,
            and intersection and union of the boundaries.
        nan_to_num: Score of a class that has no pixels to be measured on; None leaves NaN.

    Returns:
        Arrays of shape (..., classes).
    """
    intersection, union, predicted, labelled, *boundaries = np.moveaxis(areas, -2, 0)
    with np.errstate(invalid='ignore'):  # 0 / 0: a class that is not there
        scores = {
            'IoU': intersection / union,
            'Precision': intersection / predicted,
            'Recall': intersection / labelled,
            'Dice': 2 * intersection / (predicted + labelled),
        }
        if boundaries:
            scores['BoundaryIoU'] = boundaries[0] / boundaries[1]
    if nan_to_num is not None:
        scores = {name: np.nan_to_num(value, nan=nan_to_num) for name, value in scores.items()}
    return scores


def overall_scores(areas: np.ndarray, scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Accuracy over all pixels (aAcc), and the means of `class_scores` over classes (mIoU, ...)."""
    accuracy = areas[..., 0, :].sum(-1) / areas[..., 3, :].sum(-1)
    means = {f'm{name}': mean_of_present(values) for name, values in scores.items()}
    return {'aAcc': accuracy, **means}


def mean_of_present(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where nothing else is."""
    present = ~np.isnan(values)
    with np.errstate(invalid='ignore'):
        return np.where(present, values, 0).sum(-1) / present.sum(-1)


def intervals(
    areas: np.ndarray, resamples: int, seed: int, nan_to_num: float | None = None
) -> dict[str, np.ndarray]:
    """95 % confidence intervals of all scores by the percentile bootstrap over images.

    Each resample draws as many images as there are, with replacement, and scores their summed
    areas. The intervals tell how much the scores owe to the choice of the images, not to the seed
    of a training. A class that a resample lacks does not count in it.

    Args:
        areas: Pixels of each image, of shape (images, 4 or 6, classes).
        resamples: How many.
        seed: Of the draws.

    Returns:
        Low and high end: shape (2,) for overall scores, (2, classes) for scores of classes.
    """
    images, *shape = areas.shape
    equally = np.full(images, 1 / images)
    times = np.random.default_rng(seed).multinomial(images, equally, size=resamples)
    # As float64, for which there are fast products; exact below 2**53 pixels.
    totals = times.astype(float) @ areas.reshape(images, -1).astype(float)
    totals = totals.reshape(resamples, *shape)
    scores = class_scores(totals, nan_to_num)
    scores |= overall_scores(totals, scores)
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    return {name: _quantiles(values, tails) for name, values in scores.items()}


def _quantiles(values: np.ndarray, tails: list[float]) -> np.ndarray:
    """`np.nanquantile` over the first axis, which warns where all is NaN."""
    absent = np.isnan(values).all(0)
    return np.where(absent, np.nan, np.nanquantile(np.where(absent, 0, values), tails, axis=0))
