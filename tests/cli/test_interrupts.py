"""What a command says when Ctrl+C ends it, or nobody reads it any more."""

import os
import subprocess
import sys

import pytest

from mmattn.cli import main

ARGUMENTS = {
    'train': ['config.py'],
    'ablate': ['study.py'],
    'predict': ['config.py', 'weights.pth', 'image.png'],
    'cost': ['config.py'],
    'convert': ['--from', 'danet', 'theirs.pth', 'ours.pth'],
}


_PRINTS = """
import sys
from mmattn.cli import main, report

def run(args):
    sys.stdin.read()
    {}

report.run = run
main(['report', 'study.py'])
"""


@pytest.mark.parametrize(
    ('statement', 'reads', 'code', 'words'),
    [
        ("print('line ' * 10_000, flush=True)", False, 0, ''),
        ("print('line')", False, 0, ''),
        ("raise BrokenPipeError('of a worker')", True, 1, 'BrokenPipeError: of a worker'),
    ],
)
def test_a_command_ends_quietly_when_nobody_reads_it(statement, reads, code, words):
    call = [sys.executable, '-c', _PRINTS.format(statement)]
    pipes = dict.fromkeys(('stdin', 'stdout', 'stderr'), subprocess.PIPE)
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'}
    with subprocess.Popen(call, text=True, env=env, **pipes) as process:
        if not reads:
            process.stdout.close()
        process.stdin.close()
        error = process.stderr.read()
    assert process.returncode == code
    assert words in error if words else not error


@pytest.mark.parametrize(
    ('command', 'line'),
    [
        ('train', 'interrupted; a training goes on with --resume'),
        ('ablate', 'interrupted; a training goes on with --resume'),
        ('predict', 'interrupted; --overwrite replaces the files that it has written'),
        ('cost', 'interrupted'),
        ('convert', 'interrupted'),
    ],
)
def test_the_way_on_is_that_of_the_command(command, line, monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(f'mmattn.cli.{command}.run', interrupted)
    with pytest.raises(SystemExit) as ended:
        main([command, *ARGUMENTS[command]])
    assert ended.value.code == 130
    assert capsys.readouterr().err == f'{line}\n'
