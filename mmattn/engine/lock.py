"""One run in a work dir at a time."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmattn.errors import UserError

NAME = '.lock'


@contextmanager
def sole_run(folder: Path) -> Iterator[None]:
    """Hold a work dir for a block, by a file in it that names host and process.

    The lock of a process of this host that is there no more is taken over, and so is that of an
    earlier start of the same Slurm job, on whatever host.

    Raises:
        UserError: Another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    _take(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path) -> None:
    me = {'host': socket.gethostname(), 'pid': os.getpid(), 'started': start_of(os.getpid())}
    me['job'] = os.environ.get('SLURM_JOB_ID')
    while True:
        with path.open('a+') as file:
            with suppress(OSError):  # a file system without
                fcntl.flock(file, fcntl.LOCK_EX)  # of two starts one reads what the other wrote
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                continue  # removed by a run that has just ended
            file.seek(0)
            _refuse_living(path, file.read(), me)
            file.truncate(0)
            file.write(json.dumps(me))
            return


def _refuse_living(path: Path, text: str, me: dict) -> None:
    try:
        owner = json.loads(text)
        host, pid = str(owner['host']), int(owner['pid'])
    except (ValueError, TypeError, KeyError):  # empty, or cut short by a power cut
        return
    if host == me['host']:
        if start_of(pid) is None or start_of(pid) != owner.get('started', start_of(pid)):
            return
    elif me['job'] and owner.get('job') == me['job']:
        return
    raise UserError(
        f'another run works in {path.parent}: process {pid} on {host}. Wait for it, name another '
        'folder (--work-dir), give torchrun a --launcher pytorch for several processes of one run; '
        f'or, if that run is dead, remove {path}'
    )


def start_of(pid: int) -> str | None:
    """When a process of this host began, which tells it from later ones of its number.

    None where there is no such process; empty where the system does not say.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (PermissionError, OverflowError):
        pass
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]
    except OSError:
        return ''
