"""Files are there in full or not at all, also when a process is killed while it writes."""

import subprocess
import sys
import time
from pathlib import Path

from mmengine.fileio import get_file_backend

from mmattn.engine import checkpoints

REPO = Path(__file__).resolve().parents[2]


def test_mmengine_writes_local_files_through_it(tmp_path):
    checkpoints.install()
    path = tmp_path / 'new folder' / 'iter_1.pth'
    backend = get_file_backend(str(path))
    backend.put(b'first', str(path))
    backend.put(b'second', str(path))
    assert path.read_bytes() == b'second'
    assert list(path.parent.iterdir()) == [path]


def test_a_kill_while_writing_leaves_a_whole_file(tmp_path):
    path, size = tmp_path / 'iter_1.pth', 1 << 27
    path.write_bytes(b'old')
    code = (
        'from mmattn.engine import checkpoints\ncheckpoints.install()\n'
        'from mmengine.fileio import put\n'
        f'while True: put(bytes({size}), {str(path)!r})'
    )
    process = subprocess.Popen([sys.executable, '-c', code], cwd=REPO)
    try:
        while not list(tmp_path.glob('.*-iter_1.pth')):
            assert process.poll() is None
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()
    assert path.stat().st_size in (len(b'old'), size)
