"""Two runs never work in one folder, and no dead run keeps another out."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmattn.engine.lock import NAME, sole_run
from mmattn.errors import UserError

HOLD = """
import sys
from pathlib import Path
from mmattn.engine.lock import sole_run
with sole_run(Path(sys.argv[1])):
    print('held', flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(folder: Path):
    call = [sys.executable, '-c', HOLD, folder]
    pipe = subprocess.PIPE
    process = subprocess.Popen(call, stdin=pipe, stdout=pipe, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout.readline() == b'held\n'
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path):
    with other_process(tmp_path) as process:
        with (
            pytest.raises(UserError, match=f'process {process.pid} on') as error,
            sole_run(tmp_path),
        ):
            pass
        assert '--launcher pytorch' in str(error.value)
        process.communicate(b'')
        assert not (tmp_path / NAME).exists()
        with sole_run(tmp_path):
            pass
    assert not (tmp_path / NAME).exists()


def test_the_lock_of_a_killed_run_is_taken_over(tmp_path):
    with other_process(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / NAME).is_file()
        with sole_run(tmp_path):
            assert json.loads((tmp_path / NAME).read_text())['pid'] == os.getpid()


@pytest.mark.parametrize(
    'owner',
    [
        pytest.param(dict(pid=os.getpid(), started='1'), id='a number given out again'),
        pytest.param(dict(host='elsewhere', job='77'), id='the same job, on another host'),
        pytest.param(None, id='cut short'),
    ],
)
def test_stale_locks_are_recognised(tmp_path, monkeypatch, owner):
    monkeypatch.setenv('SLURM_JOB_ID', '77')
    owner = owner and {'host': socket.gethostname(), 'pid': 1, **owner}
    (tmp_path / NAME).write_text(json.dumps(owner) if owner else '{"host": "a", "p')
    with sole_run(tmp_path):
        pass


def test_a_run_on_another_host_is_refused_with_the_file_to_remove(tmp_path):
    (tmp_path / NAME).write_text('{"host": "elsewhere", "pid": 12, "job": null}')
    refused = pytest.raises(UserError, match=f'12 on elsewhere.*remove {tmp_path / NAME}')
    with refused, sole_run(tmp_path):
        pass
    assert (tmp_path / NAME).is_file()
