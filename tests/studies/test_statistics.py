"""What seeds and images say of a difference, against numbers from elsewhere."""

import numpy as np
import pytest

from mmattn.studies.statistics import (
    interval_over_images,
    interval_over_seeds,
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


def test_resampled_seeds_of_three_reach_from_the_smallest_to_the_largest_difference():
    """Each of the 27 resamples of three is as likely, and more than 2.5 % are thrice the same."""
    pairs = [(10, 11), (20, 22), (30, 34)]
    assert interval_over_seeds(pairs) == pytest.approx((1, 4))
    assert paired_difference(pairs).low < 0  # Student's, which knows what three may leave out


def test_resampled_seeds_are_those_of_all_possible_resamples():
    """The quantiles of all 6**6 means, which the random ones approach."""
    differences = np.array([0.3, -0.2, 0.9, 0.4, 1.3, 0.1])
    draws = np.stack(np.meshgrid(*[differences] * 6)).reshape(6, -1)
    expected = np.quantile(draws.mean(0), [0.025, 0.975])
    found = interval_over_seeds([(50, 50 + each) for each in differences])
    assert found == pytest.approx(tuple(expected), abs=0.02)


def test_resampled_seeds_are_the_same_at_every_report():
    pairs = [(50, 50 + each) for each in np.random.default_rng(1).normal(size=9)]
    assert interval_over_seeds(pairs) == interval_over_seeds(pairs)


@pytest.mark.parametrize('pairs', [[], [(1, 2)], [(1, 2), (2, 4)]])
def test_resampling_two_seeds_says_nothing(pairs):
    assert interval_over_seeds(pairs) is None


def test_equal_seeds_have_an_interval_of_one_point():
    assert interval_over_seeds([(1, 1.5), (2, 2.5), (3, 3.5)]) == (0.5, 0.5)


@pytest.mark.parametrize(('sd', 'seeds'), [(0.5, 10), (1.0, 34), (0.25, 5), (0, 2)])
def test_the_number_of_seeds_is_that_of_the_tables(sd, seeds):
    """Of a two-sided paired t test at 5 % with a power of 80 %: effects of 1, 0.5 and 2."""
    assert seeds_needed(sd, 0.5) == seeds


@pytest.mark.parametrize('sd', [100, None, float('nan')])
def test_too_many_seeds_and_an_unknown_deviation_are_no_number(sd):
    assert seeds_needed(sd, 0.5) is None


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


@pytest.mark.parametrize(('seeds', 'share'), [(3, 0.25), (5, 0.17), (10, 0.10)])
def test_resampled_seeds_leave_out_zero_as_often_as_the_guide_says(seeds, share):
    """Of 2,000 studies with nothing to show; all share 2,000 resamples."""
    generator = np.random.default_rng(0)
    weights = generator.multinomial(seeds, [1 / seeds] * seeds, size=2000) / seeds
    means = generator.normal(size=(2000, seeds)) @ weights.T
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert ((low > 0) | (high < 0)).mean() == pytest.approx(share, abs=0.025)
