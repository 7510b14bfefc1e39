"""Writing pictures so that nobody ever opens half of one."""

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` in one step: a reader sees the old file or the new one, no part.

    Missing folders are made. The temporary file lies beside ``path``, so that the rename stays on
    one file system, and carries the process number, so that processes do not meet in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
