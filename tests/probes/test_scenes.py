"""What decides a class is on the map, and out of sight of the pixel that is asked."""

import random

import pytest
import torch
from torch import Tensor

from mmattn.probes import PROBES, Probe
from mmattn.probes.scenes import (
    CHANNELS,
    CUE,
    IGNORED,
    OUTSIDE,
    QUERY,
    SIZE,
    VALUE,
    Scene,
    _paint,
    balanced_classes,
    make_batches,
    off_axes,
)

every_probe = pytest.mark.parametrize('probe', PROBES.values(), ids=list(PROBES))
SCENES = 40


def draw(probe: Probe, number: int, flipped: bool = False) -> tuple[Scene, Tensor, list[int]]:
    """The same drawing with some classes, or with the opposite ones; its map without noise."""
    rng = random.Random(number)
    classes = balanced_classes(rng, probe.classes)
    if flipped:
        classes = [1 - label for label in classes]
    scene = probe.draw(rng, classes)
    image = torch.zeros(CHANNELS, SIZE, SIZE)
    _paint(image, scene)
    return scene, image, classes


def around(image: Tensor, row: int, column: int, reach: int) -> Tensor:
    """The square of 2 * reach + 1 pixels at a pixel, across the edges of the map."""
    middle = SIZE // 2
    rolled = image.roll((middle - row, middle - column), dims=(1, 2))
    lines = slice(middle - reach, middle + reach + 1)
    return rolled[:, lines, lines]


@every_probe
def test_the_field_of_a_pixel_does_not_show_its_class(probe):
    for number in range(SCENES):
        patches = []
        for flipped in (False, True):
            scene, image, _ = draw(probe, number, flipped)
            patches.append([around(image, r, c, OUTSIDE - 1) for r, c, _ in scene.questions])
        assert all(torch.equal(a, b) for a, b in zip(*patches, strict=True))


@every_probe
def test_the_map_shows_the_classes(probe):
    for number in range(SCENES):
        (_, image, _), (_, other, _) = draw(probe, number), draw(probe, number, flipped=True)
        assert not torch.equal(image, other)


@every_probe
def test_labels_are_balanced(probe):
    batches = make_batches(probe.draw, probe.classes, 'balance', 500)
    for _ in range(2):
        _, labels = next(batches)
        asked = labels[labels != IGNORED].float()
        # Of scenes with several classes half are 1; single ones deviate by chance, 2.2 % of 500.
        assert abs(asked.mean() - 0.5) < (0.07 if probe.classes == 1 else 1e-6)


@every_probe
def test_the_same_seed_gives_the_same_images(probe):
    first, second, other = (
        next(make_batches(probe.draw, probe.classes, seed, 4)) for seed in ('a', 'a', 'b')
    )
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


@every_probe
def test_shuffled_cues_agree_with_the_labels_by_chance_only(probe):
    """The drawing never gets the labels, so that nothing else can carry them either."""
    drawn = []

    def record(rng: random.Random, classes) -> Scene:
        drawn.append((probe.draw(rng, classes), classes))
        return drawn[-1][0]

    _, labels = next(make_batches(record, probe.classes, 'shuffled', 500, shuffled=True))
    agreements = [
        answers[row, column] == shown[i]
        for answers, (scene, shown) in zip(labels, drawn, strict=True)
        for row, column, i in scene.questions
    ]
    assert abs(sum(agreements) / len(agreements) - 0.5) < 0.07


def cells(image: Tensor, channel: int) -> list[tuple[int, int]]:
    return [tuple(pixel) for pixel in (image[channel] != 0).nonzero().tolist()]


def test_one_cue_lies_in_the_row_or_column_and_has_the_class():
    for number in range(SCENES):
        scene, image, classes = draw(PROBES['row'], number)
        for row, column, i in scene.questions:
            on_axes = [cue for cue in cells(image, CUE) if cue[0] == row or cue[1] == column]
            assert len(on_axes) == 1
            assert image[VALUE][on_axes[0]] == 2 * classes[i] - 1


def test_one_criss_cross_step_brings_nothing_where_two_are_needed():
    for number in range(SCENES):
        scene, image, _ = draw(PROBES['two_steps'], number)
        for row, column, _ in scene.questions:
            assert all(off_axes((row, column), cue, OUTSIDE) for cue in cells(image, CUE))


@pytest.mark.parametrize('name', ['match', 'two_steps'])
def test_the_cue_with_the_key_of_the_query_has_its_class(name):
    for number in range(SCENES):
        scene, image, classes = draw(PROBES[name], number)
        for row, column, i in scene.questions:
            key = image[3:, row, column]
            (cue,) = (c for c in cells(image, CUE) if torch.equal(image[3:, c[0], c[1]], key))
            assert image[VALUE][cue] == 2 * classes[i] - 1


TWO_CLASSES = [name for name, probe in PROBES.items() if probe.classes == 2]


@pytest.mark.parametrize('name', TWO_CLASSES)
def test_of_two_classes_a_scene_has_one_each(name):
    """So the cue of the other query tells as much as one's own, as the page says."""
    assert all(sorted(draw(PROBES[name], number)[2]) == [0, 1] for number in range(SCENES))


@pytest.mark.parametrize(
    ('name', 'own', 'either'),
    [('row', 1, 1), ('match', 0.46, 0.76), ('two_steps', 0, 0), ('offset', 0, 0.5)],
)
def test_a_look_along_rows_and_columns_sees_as_many_cues_as_the_page_says(name, own, either):
    """With the local field: whatever lies within four rows or columns of a query."""
    seen = []
    for number in range(1000):
        scene, _, _ = draw(PROBES[name], number)
        cues = [(row, column) for channel, row, column, _ in scene.marks if channel == CUE]
        for row, column, i in scene.questions:
            mine, other = (not off_axes((row, column), cues[j], OUTSIDE) for j in (i, 1 - i))
            seen.append((mine, mine or other))
    shares = torch.tensor(seen).float().mean(dim=0).tolist()
    assert shares == pytest.approx([own, either], abs=0.03)


@pytest.mark.parametrize('name', TWO_CLASSES)
def test_sums_over_the_map_tell_nothing(name):
    for number in range(SCENES):
        _, image, _ = draw(PROBES[name], number)
        _, other, _ = draw(PROBES[name], number, flipped=True)
        torch.testing.assert_close(image.sum(dim=(1, 2)), other.sum(dim=(1, 2)))


def test_second_order_has_equal_means_and_opposite_products():
    for number in range(SCENES):
        _, image, classes = draw(PROBES['second_order'], number)
        first, second = image[VALUE], image[3]
        assert first.sum() == 0 and second.sum() == 0
        assert (first * second).sum() == 16 * (2 * classes[0] - 1)


def test_second_order_can_be_told_from_a_mean_of_what_one_pixel_shows():
    for number in range(SCENES):
        _, image, classes = draw(PROBES['second_order'], number)
        agreement = (image[VALUE] + image[3]).abs() > 1
        assert agreement.sum() == (18 if classes[0] else 2)


def test_nothing_but_a_square_is_on_the_map_of_the_position():
    _, image, _ = draw(PROBES['position'], 0)
    assert image.sum() == 49 and len(cells(image, QUERY)) == 49
