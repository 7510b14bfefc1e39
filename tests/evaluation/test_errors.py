"""Errors by size and by distance, against a computation pixel by pixel."""

import numpy as np
import pytest

from mmattn.evaluation.errors import (
    DISTANCE_NAMES,
    DISTANCES,
    SIZE_NAMES,
    errors_by_distance,
    errors_by_size,
)

VOID = 255


@pytest.fixture
def maps():
    """Labels of blobs with void between them, and a prediction that is often right."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (6, 5)).repeat(9, 0).repeat(8, 1)
    label[:, 17:20] = VOID
    wrong = rng.random(label.shape) < 0.3
    return label, np.where(
        wrong, rng.integers(0, 3, label.shape), np.where(label == VOID, 0, label)
    )


def test_distances_are_those_to_the_nearest_pixel_of_another_label(maps):
    label, prediction = maps
    expected = np.zeros((len(DISTANCE_NAMES), 2), int)
    ys, xs = np.indices(label.shape)
    for y, x in np.argwhere(label != VOID):
        others = label != label[y, x]
        distance = np.maximum(abs(ys - y), abs(xs - x))[others].min()
        place = sum(distance > end for end in DISTANCES)
        expected[place] += 1, prediction[y, x] != label[y, x]
    assert (errors_by_distance(label, prediction, 3) == expected).all()
    assert expected[:4, 1].all()


def test_an_image_of_one_class_is_far_from_boundaries():
    label = np.ones((40, 50), int)
    counts = errors_by_distance(label, np.zeros_like(label), 3)
    assert counts[-1].tolist() == [2000, 2000] and not counts[:-1].any()


def test_objects_are_connected_regions_and_found_by_half_of_their_pixels():
    label = np.zeros((100, 100), int)
    label[0:3, 0:3] = 1  # 9 pixels: under 0.1 %
    label[3:5, 3:5] = 1  # touches it at a corner: 13 pixels, 0.1 to 1 %
    label[50:60, 50:60] = 2  # 100 pixels: exactly 1 %
    label[99] = VOID
    prediction = np.zeros_like(label)
    prediction[0:2, 0:3] = 1  # 6 of 13
    prediction[50:55, 50:60] = 2  # 50 of 100
    counts = errors_by_size(label, prediction, 3)
    assert counts.shape == (3, len(SIZE_NAMES), 4)
    assert counts[1].tolist() == [[0] * 4, [1, 0, 13, 6], [0] * 4, [0] * 4]
    assert counts[2].tolist() == [[0] * 4, [0] * 4, [1, 1, 100, 50], [0] * 4]
    assert counts[0, 3].tolist() == [1, 1, 9900 - 113, 9900 - 113]
    assert not counts[0, :3].any()


def test_objects_of_all_sizes_are_all_labelled_pixels(maps):
    label, prediction = maps
    counts = errors_by_size(label, prediction, 3).sum((0, 1))
    distances = errors_by_distance(label, prediction, 3).sum(0)
    assert counts[2] == distances[0] == (label != VOID).sum()
    assert counts[2] - counts[3] == distances[1]
