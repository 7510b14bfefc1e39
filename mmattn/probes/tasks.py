"""The drawings of the probes: what each scene shows, given the classes that it has to show.

Whatever decides a class lies outside the field of the net, which sees 4 pixels to each side.
"""

import random
from collections.abc import Sequence

from mmattn.probes.scenes import (
    CUE,
    FAR,
    KEYS,
    OUTSIDE,
    QUERY,
    SIZE,
    VALUE,
    Pair,
    Pixel,
    Scene,
    anywhere,
    apart,
    distance,
    draw_pairs,
    off_axes,
    place_pairs,
    sign,
)

OFFSET = (9, 9)  # from a query to its cue, in rows and columns
_LONG, _SHORT, _THICKNESS = 22, 10, 9  # of bars, in pixels


def draw_statistic(rng: random.Random, classes: Sequence[int]) -> Scene:
    """Twenty dots of +1 and -1, 16 of them of one sign, which is the class of both queries."""
    queries, dots = _queries_and_dots(rng)
    signs = [1.0] * 16 + [-1.0] * 4
    marks = [(VALUE, *dot, sign(classes[0]) * s) for dot, s in zip(dots, signs, strict=True)]
    return _with_queries(marks, queries)


def draw_second_order(rng: random.Random, classes: Sequence[int]) -> Scene:
    """Twenty dots with +1 or -1 in two channels, both of mean 0; 18 agree or 18 disagree.

    A dot shows both at one pixel: convolutions can form the agreement, and a mean of it decides.
    """
    queries, dots = _queries_and_dots(rng)
    marks = []
    for i, dot in enumerate(dots):
        first = sign(i % 2)  # the last two dots, one of each sign, are the exceptions
        second = first * sign(classes[0]) * (1 if i < 18 else -1)
        marks += [(VALUE, *dot, first), (KEYS[0], *dot, second)]
    return _with_queries(marks, queries)


def draw_row(rng: random.Random, classes: Sequence[int]) -> Scene:
    """The cue of a query lies in its row or column, all other cues do not."""

    def propose() -> Pair:
        row, column = anywhere(rng)
        steps = rng.randint(FAR, SIZE - FAR)
        moved = ((row + steps) % SIZE, column), (row, (column + steps) % SIZE)
        return Pair((row, column), rng.choice(moved))

    pairs = place_pairs(
        rng, len(classes), propose, lambda pair, other: off_axes(pair.query, other.cue, 2)
    )
    return draw_pairs(pairs, classes)


def draw_match(rng: random.Random, classes: Sequence[int]) -> Scene:
    """The cue of a query is the one that bears the same key, one of four, anywhere."""

    def propose() -> Pair:
        while True:
            pair = Pair(anywhere(rng), anywhere(rng))
            if distance(*pair) >= FAR:
                return pair

    keys = rng.sample(KEYS, len(classes))
    return draw_pairs(place_pairs(rng, len(classes), propose), classes, keys)


def draw_two_steps(rng: random.Random, classes: Sequence[int]) -> Scene:
    """As match, but no cue lies within 4 rows or columns of a query.

    The field of a query and its four rows and columns to each side then hold no cue: one step along
    rows and columns cannot bring any.
    """

    def propose() -> Pair:
        while True:
            pair = Pair(anywhere(rng), anywhere(rng))
            if distance(*pair) >= FAR and off_axes(*pair, OUTSIDE):
                return pair

    pairs = place_pairs(
        rng, len(classes), propose, lambda pair, other: off_axes(pair.query, other.cue, OUTSIDE)
    )
    return draw_pairs(pairs, classes, rng.sample(KEYS, len(classes)))


def draw_offset(rng: random.Random, classes: Sequence[int]) -> Scene:
    """The cue of a query lies 9 rows below and 9 columns right of it; other cues look the same."""

    def propose() -> Pair:
        row, column = (rng.randrange(SIZE - step) for step in OFFSET)
        return Pair((row, column), (row + OFFSET[0], column + OFFSET[1]))

    return draw_pairs(place_pairs(rng, len(classes), propose), classes)


def draw_position(rng: random.Random, classes: Sequence[int]) -> Scene:
    """A single square in noise; its class is the half of the map, left or right, that it lies in.

    Asked are the pixels at its middle, whose field shows all of it and nothing else.
    """
    row, column = rng.randrange(SIZE), rng.randint(3, SIZE // 2 - 4) + classes[0] * SIZE // 2
    block = (QUERY, _lines(row - 3, 7), _lines(column - 3, 7))
    middle = [(r, c, 0) for r in _lines(row - 1, 3) for c in _lines(column - 1, 3)]
    return Scene([], middle, [block])


def draw_region(rng: random.Random, classes: Sequence[int]) -> Scene:
    """Two halves, each with a key at all of its pixels; a square in each tells the class of all."""
    begin, transposed = rng.randrange(SIZE), rng.random() < 0.5
    halves = [_lines(begin + half * SIZE // 2, SIZE // 2) for half in range(2)]
    blocks = [
        (key, *_turn((half, list(range(SIZE))), transposed))
        for key, half in zip(rng.sample(KEYS, 2), halves, strict=True)
    ]

    cues = [_turn((half[rng.randint(2, 9)], rng.randrange(SIZE)), transposed) for half in halves]
    parts = [
        ((row + i, column + j), label)
        for (row, column), label in zip(cues, classes, strict=True)
        for i in range(-2, 3)
        for j in range(-2, 3)
    ]
    marks = [(CUE, r % SIZE, c % SIZE, 1.0) for (r, c), _ in parts]
    marks += [(VALUE, r % SIZE, c % SIZE, sign(label)) for (r, c), label in parts]
    questions: list[tuple[int, int, int]] = []
    while len(questions) < 8:
        i = len(questions) % 2
        pixel = _turn((rng.choice(halves[i]), rng.randrange(SIZE)), transposed)
        hidden = distance(pixel, cues[i]) >= FAR + 2 and distance(pixel, cues[1 - i]) >= OUTSIDE + 2
        if hidden and (*pixel, i) not in questions:
            questions.append((*pixel, i))
    return Scene(marks, questions, blocks)


def draw_scale(rng: random.Random, classes: Sequence[int]) -> Scene:
    """A long bar and a short one, alike from inside; which of them does a pixel lie in?

    Only pixels are asked whose field lies wholly in their bar, so that it shows no edge.
    """
    begin, transposed = rng.randrange(SIZE), rng.random() < 0.5
    questions, blocks = [], []
    for i, label in enumerate(classes):
        rows = _lines(begin + i * SIZE // 2, _THICKNESS)
        columns = _lines(rng.randrange(SIZE), _LONG if label else _SHORT)
        blocks.append((CUE, *_turn((rows, columns), transposed)))
        edge = OUTSIDE - 1
        inside = [(row, column) for row in rows[edge:-edge] for column in columns[edge:-edge]]
        questions += [(*_turn(pixel, transposed), i) for pixel in rng.sample(inside, 2)]
    return Scene([], questions, blocks)


def _queries_and_dots(rng: random.Random) -> tuple[list[Pixel], list[Pixel]]:
    """Two neighbouring queries, and twenty dots that lie far from their rows and columns."""
    row, column = anywhere(rng)
    step = rng.choice([(a, b) for a in (-2, 0, 2) for b in (-2, 0, 2) if a or b])
    queries = [(row, column), ((row + step[0]) % SIZE, (column + step[1]) % SIZE)]
    rows, columns = (
        [line for line in range(SIZE) if all(apart(line, q[axis]) >= FAR for q in queries)]
        for axis in range(2)
    )
    dots = rng.sample([(r, c) for r in rows for c in columns], 20)
    return queries, dots


def _with_queries(marks: list, queries: Sequence[Pixel]) -> Scene:
    marks = [*marks, *((QUERY, *query, 1.0) for query in queries)]
    return Scene(marks, [(*query, 0) for query in queries])


def _lines(first: int, count: int) -> list[int]:
    return [(first + i) % SIZE for i in range(count)]


def _turn(pair: tuple, transposed: bool) -> tuple:
    """Rows and columns, or columns and rows."""
    return (pair[1], pair[0]) if transposed else pair
