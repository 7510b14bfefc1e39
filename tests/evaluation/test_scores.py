"""Bootstrap over images."""

import numpy as np
import pytest

from mmattn.evaluation.scores import class_scores, intervals, overall_scores


def per_image(images=40, classes=3, seed=0):
    """Areas of images whose accuracy varies."""
    generator = np.random.default_rng(seed)
    labelled = generator.integers(50, 100, size=(images, classes))
    intersection = (labelled * generator.uniform(0.4, 0.9, size=(images, 1))).astype(int)
    predicted = intersection + 10
    union = labelled + predicted - intersection
    return np.stack([intersection, union, predicted, labelled], axis=1)


def test_intervals_are_quantiles_over_resampled_images_scored_one_by_one():
    areas = per_image()
    ends = intervals(areas, 500, seed=3)
    generator = np.random.default_rng(8)
    mious = []
    for _ in range(500):
        intersection, union = areas[generator.integers(40, size=40)].sum(0)[:2]
        mious.append((intersection / union).mean())
    spread = np.std(mious)
    assert ends['mIoU'] == pytest.approx(np.quantile(mious, [0.025, 0.975]), abs=0.3 * spread)
    assert ends['IoU'].shape == (2, 3) and ends['aAcc'].shape == (2,)


def test_seed_decides():
    areas = per_image()
    first, again, other = (intervals(areas, 50, seed)['mIoU'] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_equal_images_leave_no_doubt():
    areas = np.repeat(per_image(images=1), 7, axis=0)
    low, high = intervals(areas, 20, seed=0)['mIoU']
    scores = class_scores(areas[0])
    assert low == high == pytest.approx(overall_scores(areas[0], scores)['mIoU'])


@pytest.mark.filterwarnings('error')
def test_absent_classes_are_nan_and_do_not_count():
    areas = np.concatenate([per_image(), np.zeros((40, 4, 1), int)], axis=2)
    ends = intervals(areas, 20, seed=0)
    np.testing.assert_array_equal(ends['mIoU'], intervals(per_image(), 20, seed=0)['mIoU'])
    assert np.isnan(ends['IoU'][:, 3]).all() and not np.isnan(ends['IoU'][:, :3]).any()
    assert (intervals(areas, 20, seed=0, nan_to_num=0)['IoU'][:, 3] == 0).all()
