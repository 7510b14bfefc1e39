"""Tables in CSV files to which runs append a row as they end, several at a time if need be."""

import csv
import errno
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

    A last line too short for a row is that of a process that was killed while it wrote, and left
    out; one that lacks the end of the line alone counts.

    Args:
        path: The file.
        kind: A named tuple of `str`, `int`, `float`, or one of them and `None` where an empty cell
            stands for what is not known.

    Raises:
        ValueError: A line that is none of such a row.
    """
    if not path.exists():
        return []
    return list(_parse(path, _whole(path, path.read_bytes(), kind), kind))


def append_row(path: Path, row: Row, key: slice) -> Row:
    """Add a row to the file, unless it holds one with the same key; the one that is in it then.

    Of several processes one writes at a time, and waits until the disk has it. A half row at the
    end of the file is taken away first.

    Args:
        path: The file, made where there is none.
        row: To be added.
        key: The fields that tell rows apart.

    Raises:
        ValueError: A line that is none of such a row.
        OSError: The disk is full; the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as file:
        whole = _whole(path, file.read(), type(row))
        for known in _parse(path, whole, type(row)):
            if known[key] == row[key]:
                return known
        text = io.StringIO('' if whole.endswith(b'\n') or not whole else '\n')
        text.seek(0, io.SEEK_END)
        writer = csv.writer(text, lineterminator='\n')
        if not whole:
            writer.writerow(row._fields)
        writer.writerow(row)
        file.truncate(len(whole))
        data = text.getvalue().encode()
        if file.write(data) < len(data):  # one call, since the file has no buffer
            file.truncate(len(whole))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
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


def _whole(path: Path, content: bytes, kind: type[Row]) -> bytes:
    """The content without what is too short for a row at its end."""
    begin = content.rfind(b'\n') + 1
    rest = content[begin:]
    if not begin and not ','.join(kind._fields).encode().startswith(rest):
        begin = len(content)  # nothing that was begun here: to be told as a line of something else
    with suppress(ValueError):
        list(_parse(path, rest, kind))
        begin = len(content)
    return content[:begin]


def _parse(path: Path, content: bytes, kind: type[Row]) -> Iterator[Row]:
    types = kind.__annotations__.values()
    for number, cells in enumerate(csv.reader(content.decode().splitlines(keepends=True)), 1):
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
