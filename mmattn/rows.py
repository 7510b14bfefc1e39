"""Tables in CSV files to which runs append a row as they end, several at a time if need be."""

import csv
import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, TypeVar, get_args

Row = TypeVar('Row', bound=NamedTuple)


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a file, none where there is no file.

    A last line without its end is that of a process that was killed while it wrote, and left out.

    Args:
        path: The file.
        kind: A named tuple of `str`, `int`, `float`, or one of them and `None` where an empty cell
            stands for what is not known.

    Raises:
        ValueError: A line that is none of such a row.
    """
    if not path.exists():
        return []
    return list(_parse(path, path.read_text(encoding='utf-8'), kind))


def append_row(path: Path, row: Row, key: slice) -> Row:
    """Add a row to the file, unless it holds one with the same key; the one that is in it then.

    Of several processes one writes at a time, and waits until the disk has it. A half line at the
    end of the file is taken away first.

    Args:
        path: The file, made where there is none.
        row: To be added.
        key: The fields that tell rows apart.

    Raises:
        ValueError: A line that is none of such a row.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as file:
        content = file.read()
        whole = content[: content.rfind(b'\n') + 1]
        for known in _parse(path, whole.decode(), type(row)):
            if known[key] == row[key]:
                return known
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        if not whole:
            writer.writerow(row._fields)
        writer.writerow(row)
        file.truncate(len(whole))
        file.write(text.getvalue().encode())  # one call, since the file has no buffer
        os.fsync(file.fileno())
    return row


@contextmanager
def _locked(path: Path) -> Iterator[Any]:
    """The file, open at its beginning and for appending, for one process at a time."""
    with path.open('ab+', buffering=0) as file:
        with suppress(OSError):  # a file system without
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file


def _parse(path: Path, text: str, kind: type[Row]) -> Iterator[Row]:
    lines = text.splitlines(keepends=True)
    types = kind.__annotations__.values()
    for number, cells in enumerate(csv.reader(line for line in lines if line.endswith('\n')), 1):
        if tuple(cells) == kind._fields:  # a second time where two files were joined
            continue
        try:
            yield kind(*(_value(each, cell) for each, cell in zip(types, cells, strict=True)))
        except ValueError as error:
            raise ValueError(
                f'{path}, line {number}: expected {",".join(kind._fields)}, got {",".join(cells)}'
            ) from error


def _value(kind: type | UnionType, cell: str) -> Any:
    if isinstance(kind, UnionType):
        return get_args(kind)[0](cell) if cell else None
    return kind(cell)
