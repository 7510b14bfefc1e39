"""Writing files so that nobody ever finds half of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmattn.errors import UserError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to; it becomes ``target`` in one step, and only when the block ends well.

    Missing folders are made. The unfinished file is hidden beside ``target``, so that the rename
    stays on one file system, keeps its suffix, by which some writers choose the format, and carries
    the process number, so that processes do not meet in it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f'.{os.getpid()}-{target.name}')
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``: a reader sees the old file or the new one, no part of either."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(data)


def check_writable(folder: Path, what: str, remedy: str) -> None:
    """Raise UserError where a folder neither is nor can be made, or cannot be written to."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(
            f'{what} {folder} cannot be made: {existing} is '
            f'{"not writable" if existing.is_dir() else "a file"}; {remedy}'
        )
