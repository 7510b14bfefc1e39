"""Small maps on which a few pixels are marked, and where the marks may stand.

Maps are tori: the net pads circularly, so rows and columns have no first and no last. All distances
here are distances on the torus; that of two pixels is the larger one of rows and columns, so that
"nearer than d" is a square, as the field of a convolution is.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

SIZE = 24  # rows and columns of a map
# A net of four 3 x 3 convolutions sees 4 pixels to each side.
OUTSIDE = 5  # the smallest distance that it does not see
FAR = 8  # and the smallest that it does not see with a 7 x 7 convolution of the mechanism in it
IGNORED = -100  # label of pixels that no loss and no accuracy counts, as in torch's cross_entropy

QUERY, CUE, VALUE, KEYS = 0, 1, 2, (3, 4, 5, 6)  # the channels
CHANNELS = 7
_NOISE = 0.1

Pixel = tuple[int, int]


class Scene(NamedTuple):
    """What is drawn, and where the answer is asked for.

    Attributes:
        marks: (channel, row, column, value) of single pixels.
        questions: (row, column, i): the label of this pixel is the i-th class of the scene.
        blocks: (channel, rows, columns) of areas whose value is 1.
    """

    marks: list[tuple[int, int, int, float]]
    questions: list[tuple[int, int, int]]
    blocks: Sequence[tuple[int, list[int], list[int]]] = ()


# Draws the scene that shows some classes. It never sees the labels.
Draw = Callable[[random.Random, Sequence[int]], Scene]


class Pair(NamedTuple):
    """A pixel that asks, and the pixel that bears its class."""

    query: Pixel
    cue: Pixel


def apart(first: int, second: int) -> int:
    """Distance of two rows, or of two columns."""
    steps = abs(first - second) % SIZE
    return min(steps, SIZE - steps)


def distance(first: Pixel, second: Pixel) -> int:
    """Distance of two pixels: the larger one of rows and columns."""
    return max(apart(first[0], second[0]), apart(first[1], second[1]))


def off_axes(first: Pixel, second: Pixel, steps: int) -> bool:
    """Whether both rows and columns of two pixels are at least ``steps`` apart."""
    return min(apart(first[0], second[0]), apart(first[1], second[1])) >= steps


def anywhere(rng: random.Random) -> Pixel:
    return rng.randrange(SIZE), rng.randrange(SIZE)


def place_pairs(
    rng: random.Random,
    count: int,
    propose: Callable[[], Pair],
    agree: Callable[[Pair, Pair], bool] = lambda pair, other: True,
) -> list[Pair]:
    """Place pairs such that no query sees any cue and no mark touches another of its sort.

    Args:
        rng: Source of all draws.
        count: Number of pairs.
        propose: Draws a pair, its two pixels at least FAR apart.
        agree: What else must hold for every two pairs, in both orders.
    """

    def fits(pair: Pair, other: Pair) -> bool:
        return (
            distance(pair.query, other.cue) >= OUTSIDE
            and distance(other.query, pair.cue) >= OUTSIDE
            and distance(pair.query, other.query) >= 3
            and distance(pair.cue, other.cue) >= 3
            and agree(pair, other)
            and agree(other, pair)
        )

    while True:
        pairs: list[Pair] = []
        for _ in range(20 * count):
            pair = propose()
            if all(fits(pair, other) for other in pairs):
                pairs.append(pair)
                if len(pairs) == count:
                    return pairs


def draw_pairs(
    pairs: Sequence[Pair], classes: Sequence[int], keys: Sequence[int] | None = None
) -> Scene:
    """Mark queries and cues; the i-th cue bears the i-th class, and both the i-th key if any."""
    marks, questions = [], []
    for i, (query, cue) in enumerate(pairs):
        marks += [(QUERY, *query, 1.0), (CUE, *cue, 1.0), (VALUE, *cue, sign(classes[i]))]
        if keys is not None:
            marks += [(keys[i], *query, 1.0), (keys[i], *cue, 1.0)]
        questions.append((*query, i))
    return Scene(marks, questions)


def sign(label: int) -> float:
    return 2.0 * label - 1.0


def balanced_classes(rng: random.Random, count: int) -> list[int]:
    """Classes of a scene: one at random, or of an even number half and half in random order.

    So statistics over all cues tell a query nothing, and each of two queries can be answered by
    elimination: the cue of the other one bears the opposite class.
    """
    return [rng.randrange(2)] if count == 1 else rng.sample([0, 1] * (count // 2), count)


def make_batches(
    draw: Draw, count: int, seed: str, batch: int, shuffled: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (batch, CHANNELS, SIZE, SIZE) and labels (batch, SIZE, SIZE), without end.

    Args:
        draw: The task.
        count: Number of classes of a scene.
        seed: Decides all draws; the same seed gives the same batches.
        batch: Images in a batch.
        shuffled: Show other classes than those of the labels, drawn in the same way: whatever is
            then learnt is a leak.
    """
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    while True:
        images = _NOISE * torch.randn(batch, CHANNELS, SIZE, SIZE, generator=generator)
        labels = torch.full((batch, SIZE, SIZE), IGNORED)
        for image, answers in zip(images, labels, strict=True):
            classes = balanced_classes(rng, count)
            scene = draw(rng, balanced_classes(rng, count) if shuffled else classes)
            _paint(image, scene)
            rows, columns, which = zip(*scene.questions, strict=True)
            answers[list(rows), list(columns)] = torch.tensor([classes[i] for i in which])
        yield images, labels


def _paint(image: Tensor, scene: Scene) -> None:
    if scene.marks:
        channels, rows, columns, values = zip(*scene.marks, strict=True)
        image[list(channels), list(rows), list(columns)] += torch.tensor(values)
    for channel, rows, columns in scene.blocks:
        image[channel, torch.tensor(rows).unsqueeze(1), columns] += 1
