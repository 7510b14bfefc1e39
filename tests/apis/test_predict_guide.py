"""docs/predict.md: its commands and its Python, as printed."""

import re
import sys
from pathlib import Path

import pytest

from mmattn.apis.outputs import KINDS
from mmattn.cli.predict import KINDS as CHOICES
from tests.guides import run, write_demo

REPO = Path(__file__).resolve().parents[2]
GUIDE = (REPO / 'docs/predict.md').read_text()
COMMANDS = re.findall(r'```bash\n(.*?)\n```', GUIDE, re.S)
(CODE,) = re.findall(r'```python\n(.*?)```', GUIDE, re.S)


def test_every_kind_of_file_is_described():
    table = GUIDE.partition('| kind | file |')[2].partition('\n\n')[0]
    assert re.findall(r'^\| `(\w+)`', table, re.M) == list(KINDS) == list(CHOICES)


def test_configs_of_the_guide_exist():
    assert all((REPO / name).is_file() for name in re.findall(r'configs/\S+\.py', GUIDE))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('guide')
    write_demo(folder, *re.findall(r'configs/\S+toy\S+\.py', GUIDE)[:1])
    return folder


@pytest.mark.e2e
@pytest.mark.slow
def test_the_commands_write_what_the_guide_says(folder):
    whole, listed, tune = COMMANDS
    run(folder, ['bash', '-c', whole])
    assert {path.name for path in (folder / 'predictions').iterdir()} == {'labels', 'overlay'}
    assert len(list((folder / 'predictions/labels/toyville').glob('*.png'))) == 16
    run(folder, ['bash', '-c', listed])
    kinds = {path.name: len(list(path.rglob('*.*'))) for path in (folder / 'ten').iterdir()}
    assert kinds == dict.fromkeys(('labels', 'color', 'panel', 'json'), 10)
    assert 'the choice for 1x3x128x256' in run(folder, ['bash', '-c', f'{tune} --seconds 1'])


@pytest.mark.e2e
@pytest.mark.slow
def test_the_python_runs(folder):
    check = '\nassert result.labels.shape == (128, 256) and len(result.shares) >= 1'
    run(folder, [sys.executable, '-c', CODE + check])
    assert (folder / 'overlay.jpg').is_file() and (folder / 'labels.png').is_file()
