"""Tables, whose first row is the heading."""

from collections.abc import Sequence

Rows = Sequence[Sequence[str]]


def markdown(rows: Rows) -> str:
    """A table in Markdown."""
    heading, *others = rows
    lines = [heading, ['---'] * len(heading), *others]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def aligned(rows: Rows) -> str:
    """A table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        '  '.join(f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return '\n'.join(map(str.rstrip, lines))
