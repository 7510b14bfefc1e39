"""Boundary IoU against a naive implementation of the definition."""

import math

import numpy as np
import pytest
import torch

from mmattn.evaluation.boundary import boundary, boundary_areas, boundary_width


def eroded(mask):
    """One erosion by 3 x 3; what lies outside of the image is background."""
    height, width = mask.shape
    result = np.zeros_like(mask)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            result[row, column] = mask[row - 1 : row + 2, column - 1 : column + 2].all()
    return result


def naive_boundary(mask, width):
    inner = mask
    for _ in range(width):
        inner = eroded(inner)
    return mask & ~inner


def scene(seed, size=(31, 44), num_classes=5):
    """Overlapping rectangles of classes; some of them void."""
    generator = np.random.default_rng(seed)
    classes = np.zeros(size, int)
    for value in [*range(1, num_classes), 255, 255]:
        top, left = generator.integers(0, size[0] - 4), generator.integers(0, size[1] - 4)
        height, width = generator.integers(2, 20, size=2)
        classes[top : top + height, left : left + width] = value
    return classes


@pytest.mark.parametrize('ratio', [0.001, 0.02, 0.06, 0.1])
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_areas_are_those_of_the_definition_class_by_class(ratio, seed):
    label, prediction = scene(seed), scene(seed + 10) % 255
    width = max(1, round(ratio * math.sqrt(31**2 + 44**2)))
    assert boundary_width(31, 44, ratio) == width
    valid = label != 255
    expected = []
    for value in range(5):
        of_label = naive_boundary((label == value) & valid, width)
        of_prediction = naive_boundary((prediction == value) & valid, width)
        expected.append([(of_label & of_prediction).sum(), (of_label | of_prediction).sum()])
    tensors = torch.from_numpy(prediction), torch.from_numpy(label)
    intersection, union = boundary_areas(*tensors, 5, 255, ratio)
    assert intersection.dtype == torch.int64
    assert list(zip(intersection.tolist(), union.tolist(), strict=True)) == [
        tuple(pair) for pair in np.array(expected).tolist()
    ]


def test_labels_scored_against_themselves_have_equal_areas():
    label = torch.from_numpy(scene(3))
    anything_in_void = label.where(label != 255, 2)
    intersection, union = boundary_areas(anything_in_void, label, 5, 255, 0.05)
    assert torch.equal(intersection, union) and intersection.sum() > 0


def test_edge_of_the_image_is_a_contour_of_the_stated_width():
    ring = boundary(torch.zeros(9, 11, dtype=torch.long), 3)
    assert not ring[3:6, 3:8].any()
    assert ring.sum() == 9 * 11 - 3 * 5


def test_width_beyond_the_image_takes_all_of_it():
    assert boundary(torch.zeros(4, 5, dtype=torch.long), 20).all()
    # A line of pixels is nothing but boundary.
    assert boundary(torch.zeros(1, 7, dtype=torch.long), 1).all()
