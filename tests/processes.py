"""Processes of the commands, forked from one that has imported the libraries already.

An interpreter takes 4 to 6 s of a core to import torch and mmseg, most of what a short command
takes. Tests of the start itself, of signals and of terminals start their own.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mmattn.cli import main

REPO = Path(__file__).resolve().parents[1]
_SERVER = multiprocessing.get_context('forkserver')
_SERVER.set_forkserver_preload(['mmattn.apis', 'mmattn.models'])


def run_forked(
    call: Sequence[object],
    env: dict[str, str],
    cwd: Path = REPO,
    input: str = '',
    timeout: float = 600,
) -> subprocess.CompletedProcess:
    """Run a script, or ``mmattn`` as the first word, with its arguments to its end.

    As `subprocess.run` with ``capture_output`` and ``text``.
    """
    call = [str(part) for part in call]
    with TemporaryDirectory() as folder:
        given, out, err = files = [Path(folder, name) for name in ('in', 'out', 'err')]
        given.write_text(input)
        process = _SERVER.Process(target=_become, args=(call, env, cwd, files))
        process.start()
        process.join(timeout)
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)  # with the workers that it has started
            process.join()
            raise subprocess.TimeoutExpired(call, timeout, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(call, process.exitcode, out.read_text(), err.read_text())


def _become(call: list[str], env: dict[str, str], cwd: Path, files: list[Path]) -> None:
    os.setsid()
    for number, file in enumerate(files):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0)
    multiprocessing.set_start_method('fork', force=True)  # as in an interpreter of its own
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:0] = filter(None, env.get('PYTHONPATH', '').split(os.pathsep))
    sys.argv = call
    if call[0] == 'mmattn':
        main()
    else:
        sys.path.insert(0, str(Path(call[0]).parent))
        runpy.run_path(call[0], run_name='__main__')
