"""Files are there in full or not at all, also when a process is killed while it writes."""

import subprocess
import sys
import time
from pathlib import Path

from mmengine.fileio import get_file_backend

import mmattn.engine  # noqa: F401  registers the backend

REPO = Path(__file__).resolve().parents[2]


def test_mmengine_writes_local_files_through_it(tmp_path):
    path = tmp_path / 'new folder' / 'iter_1.pth'
    backend = get_file_backend(str(path))
    backend.put(b'first', str(path))
    backend.put(b'second', str(path))
    assert path.read_bytes() == b'second'
    assert list(path.parent.iterdir()) == [path]


def test_a_kill_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / 'iter_1.pth'
    path.write_bytes(b'old')
    code = (
        f'import mmattn.engine\nfrom mmengine.fileio import put\nput(bytes(1 << 29), {str(path)!r})'
    )
    process = subprocess.Popen([sys.executable, '-c', code], cwd=REPO)
    unfinished = tmp_path / 'iter_1.pth.part'
    try:
        while not (unfinished.exists() and unfinished.stat().st_size):
            assert process.poll() is None
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()
    assert unfinished.exists()  # it was killed in the middle
    assert path.read_bytes() == b'old'
