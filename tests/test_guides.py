"""Guides in docs/: their commands, as printed, in a folder as `make demo` leaves it."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmattn.datasets import generate_toy_scenes
from mmattn.preflight.config import load_config
from mmattn.preflight.pretrained import drop_pretrained
from tests.processes import run_forked

REPO = Path(__file__).resolve().parents[1]


def commands(guide: str) -> list[str]:
    """The commands of a guide."""
    text = (REPO / 'docs' / guide).read_text()
    return '\n'.join(re.findall(r'```bash\n(.*?)\n```', text, re.S)).splitlines()


@pytest.fixture(scope='module')
def checkout(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('checkout')
    (folder / 'configs').symlink_to(REPO / 'configs')
    generate_toy_scenes(folder / 'data/toy')
    return folder


@pytest.fixture(scope='module')
def run(checkout):
    """Run a command of a guide as a process that ends well; what it printed."""

    def run(command: str) -> str:
        program, *arguments = shlex.split(command)
        assert program == 'mmattn'
        env = {**os.environ, 'MMATTN_DATA': 'data'}
        result = run_forked(['mmattn', *arguments], env, checkout)
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
        return result.stdout

    return run


def write_checkpoint(folder: Path, config: str, checkpoint: str) -> None:
    """A checkpoint with the weights that the model of a config starts with."""
    cfg = load_config(REPO / config)
    drop_pretrained(cfg)
    (folder / checkpoint).parent.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, folder / checkpoint)


@pytest.mark.e2e
@pytest.mark.slow
def test_data_is_checked_and_drawn(run, checkout):
    check, browse = commands('data.md')
    assert 'train_dataloader.dataset (ToyScenesDataset): 40 images with labels' in run(check)
    assert Image.open(checkout / 'shares.png').width > 400
    assert run(browse).splitlines()[-1] == 'seen/index.html'
    names = {path.name for path in (checkout / 'seen').iterdir()}
    assert names == {'index.html', *(f'00{i}.png' for i in range(1, 5))}


@pytest.mark.e2e
@pytest.mark.slow
def test_a_run_and_its_predictions_are_analyzed(run, checkout):
    test, analyze = commands('analyze.md')
    _, _, config, checkpoint, *_ = shlex.split(test)
    write_checkpoint(checkout, config, checkpoint)
    scalars = checkout / checkpoint / '../20260101_000000/vis_data/scalars.json'
    scalars = Path(os.path.normpath(scalars))
    scalars.parent.mkdir(parents=True)
    scalars.write_text('{"loss": 2.0, "step": 100}\n{"mIoU": 50.0, "step": 100}\n')
    run(test)
    assert run(analyze).splitlines()[-1] == 'analysis/index.html'
    guide = (REPO / 'docs/analyze.md').read_text()
    names = set(re.findall(r'`(\w+\.(?:csv|json))`', guide))
    assert len(names) == 8
    assert names <= {path.name for path in (checkout / 'analysis').rglob('*')}


@pytest.mark.parametrize('guide', ['data.md', 'analyze.md'])
def test_pictures_of_the_guides_are_there_and_not_empty(guide):
    (name,) = re.findall(r'!\[[^]]*\]\((.+?)\)', (REPO / 'docs' / guide).read_text())
    assert np.asarray(Image.open(REPO / 'docs' / name).convert('RGB')).std() > 30
