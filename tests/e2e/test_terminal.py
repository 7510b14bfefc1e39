"""What someone at a terminal sees."""

import os
import pty
import re
import subprocess
import sys
import time

from .conftest import CONFIG, REPO


def output_on_a_terminal(call: list[str], env: dict[str, str]) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    env = {**env, 'TERM': 'xterm', 'COLUMNS': '100', 'LINES': '40'}
    with subprocess.Popen(call, cwd=REPO, env=env, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        chunks = []
        try:
            while chunk := os.read(ours, 65536):
                chunks.append(chunk)
        except OSError:  # how Linux says that the other side is closed
            pass
    os.close(ours)
    return process.returncode, b''.join(chunks).decode()


def test_training_shows_a_live_bar_and_its_log_keeps_the_lines(command, environment, tmp_path):
    options = ('train_cfg.max_iters=3',)
    call = command('train.py', CONFIG, '--work-dir', tmp_path, options=options)
    status, output = output_on_a_terminal(call, environment)
    assert status == 0, output[-2000:]
    assert re.search(r'train .*━.*3/3.*time left.*loss \d', output)
    assert re.search(r'val .*━.*/16', output)
    last = re.search(r'mIoU +last (\S+),', output)[1]
    bars = re.findall(r'train [^\n\r]*mIoU (\S+)', output)
    assert bars[-1] == last  # the last state of the bar
    assert 'eta: ' not in output  # the bar says it
    assert 'best' in output[output.index('Training is done') :]
    assert '\033[?25h' in output  # the cursor is visible again
    (log,) = tmp_path.glob('*/*.log')
    assert 'eta: ' in log.read_text()


def test_help_does_not_wait_for_torch(environment):
    for tool in ('train.py', 'test.py'):
        code = (
            f'import runpy, sys; sys.argv = ["{tool}", "--help"]\n'
            f'try: runpy.run_path("tools/{tool}", run_name="__main__")\n'
            'except SystemExit: print([m for m in ("torch", "mmengine") if m in sys.modules])'
        )
        start = time.monotonic()
        result = subprocess.run(
            [sys.executable, '-c', code], capture_output=True, text=True, cwd=REPO, env=environment
        )
        assert result.stdout.rstrip().endswith('[]')
        assert '--cfg-options' in result.stdout
        assert time.monotonic() - start < 1
