"""Writing files so that nobody ever finds half of one."""

import errno
import hashlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mmattn.errors import UserError

DAY = 24 * 60 * 60  # seconds
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def cache_folder() -> Path:
    """Where is kept what can be made again: MMATTN_CACHE, else `mmattn` in the user's cache."""
    users = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return Path(os.environ.get('MMATTN_CACHE') or Path(users, 'mmattn'))


@contextmanager
def replacing(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path to write to; it becomes ``target`` in one step, and only when the block ends well.

    Missing folders are made. The unfinished file is hidden beside ``target``, so that the rename
    stays on one file system, keeps its suffix, by which some writers choose the format, and carries
    the process number and the host, so that processes do not meet in it and `remove_unfinished`
    knows whose it was.

    Args:
        target: Where the file shall be.
        durable: Also have the file outlive a power cut: wait until the disk has it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f'.{os.getpid()}-{socket.gethostname()}-{target.name}')
    try:
        yield unfinished
        if durable:
            _sync(unfinished)
        unfinished.replace(target)
        if durable:
            _sync(target.parent)  # the rename itself
    finally:
        unfinished.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes | str, *, durable: bool = False) -> None:
    """Put ``data`` at ``path``: a reader sees the old file or the new one, no part of either.

    Text is written as UTF-8. In file names that are none, a byte E9 becomes ``\\udce9``, which JSON
    reads back.

    Raises:
        OSError: With the number of bytes that are missing, where the disk is full.
    """
    if isinstance(data, str):
        data = data.encode(errors='backslashreplace')
    try:
        with replacing(path, durable=durable) as unfinished:
            unfinished.write_bytes(data)
    except OSError as error:
        if not is_disk_full(error):
            raise
        free = shutil.disk_usage(path.parent).free
        missing = f', {max(len(data) - free, 0):,} bytes too few' if free < len(data) else ''
        raise OSError(
            error.errno,
            f'{path} was not written: it needs {len(data):,} bytes, the disk has {free:,} '
            f'left{missing}. Earlier files are untouched; make room and go on',
        ) from error


def is_disk_full(error: BaseException) -> bool:
    """True where a write failed because the disk, or the share of it, is used up."""
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def remove_unfinished(folder: Path) -> None:
    """Remove the files that killed processes left unfinished in a folder.

    Those of processes that live on this host stay; of other hosts it cannot be asked, so theirs go
    when nobody has written to them for a day.
    """
    for file in folder.glob('.*'):
        found = re.fullmatch(rf'\.(\d+)-({re.escape(socket.gethostname())}-)?.+', file.name)
        if not found or not file.is_file():
            continue
        here = found[2] is not None
        if _is_dead(int(found[1])) if here else time.time() - file.stat().st_mtime > DAY:
            file.unlink(missing_ok=True)


def _is_dead(pid: int) -> bool:
    """True where no other process has the number; a run begins with nothing unfinished itself."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return pid == os.getpid()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(folder: Path, what: str, remedy: str) -> None:
    """Raise UserError where a folder neither is nor can be made, or cannot be written to."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    if not os.path.isdir(existing) or not _is_writable(existing):
        raise UserError(
            f'{what} {folder} cannot be made: {existing} is '
            f'{"not writable" if os.path.isdir(existing) else "a file"}; {remedy}'
        )


def _is_writable(folder: Path) -> bool:
    """By trying: to root, permissions promise everything, and /proc keeps nothing."""
    try:
        with TemporaryDirectory(prefix='.', dir=folder):
            return True
    except OSError as error:
        return is_disk_full(error)  # which is told with numbers when something is written


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits; large files are read in blocks."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
