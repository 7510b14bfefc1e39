"""What seeds and images say of a difference, against numbers from elsewhere."""

import numpy as np
import pytest

from mmattn.studies.statistics import (
    interval_over_images,
    mean_and_sd,
    paired_difference,
    seeds_needed,
)


def test_the_interval_is_students():
    """2 ± t(0.975, 2) * 1 / sqrt(3), with t = 4.3027 of the tables."""
    found = paired_difference([(10, 11), (20, 22), (30, 33)])
    assert (found.mean, found.sd, found.seeds) == (2, 1, 3)
    assert found.low == pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-4)
    assert found.high == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-4)
    assert not found.shown


def test_a_difference_is_shown_where_the_interval_leaves_out_zero():
    assert paired_difference([(10, 11), (20, 21.1), (30, 30.9)]).shown
    assert paired_difference([(11, 10), (21.1, 20), (30.9, 30)]).shown


def test_one_seed_shows_nothing():
    found = paired_difference([(10, 60)])
    assert (found.mean, found.sd, found.low, found.shown) == (50, None, None, False)
    assert paired_difference([]) is None
    assert mean_and_sd([3.0]) == (3.0, None)


@pytest.mark.parametrize(('sd', 'seeds'), [(0.5, 10), (1.0, 34), (0.25, 5), (0, 2), (None, None)])
def test_the_number_of_seeds_is_that_of_the_tables(sd, seeds):
    """Of a two-sided paired t test at 5 % with a power of 80 %: effects of 1, 0.5 and 2."""
    assert seeds_needed(sd, 0.5) == seeds


def test_too_many_seeds_are_no_number():
    assert seeds_needed(100, 0.5) is None


def test_resampled_images_tell_what_their_choice_decides():
    rng = np.random.default_rng(0)
    union = rng.integers(50, 100, (40, 3))
    areas = np.stack([rng.integers(0, 50, (40, 3)), union], axis=1)
    assert interval_over_images([areas], [areas]) == (0, 0)

    better = areas.copy()
    better[:, 0] += 5  # on every image alike
    low, high = interval_over_images([areas], [better])
    gain = 100 * np.mean(5 * 40 / union.sum(0))
    assert 0 < low < gain < high < 2 * gain

    by_luck = areas.copy()
    by_luck[0, 0] = by_luck[0, 1]  # on a single image
    low, high = interval_over_images([areas], [by_luck])
    assert low <= 0 < high


def test_intervals_over_images_take_the_mean_over_seeds():
    areas = np.stack([np.full((9, 2), 10), np.full((9, 2), 20)], axis=1)
    better, worse = areas.copy(), areas.copy()
    better[:, 0] += 2
    worse[:, 0] -= 2
    assert interval_over_images([areas, areas], [better, worse]) == pytest.approx((0, 0))
    assert interval_over_images([areas], [better]) == pytest.approx((10, 10))
