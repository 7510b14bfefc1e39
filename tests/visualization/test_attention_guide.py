"""docs/attention_maps.md: its commands and examples, as printed."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from PIL import Image

from mmattn.datasets import generate_toy_scenes
from mmattn.engine import AttentionHook
from mmattn.visualization import capture_attention
from tests.processes import run_forked

REPO = Path(__file__).resolve().parents[2]
GUIDE = (REPO / 'docs' / 'attention_maps.md').read_text()
COMMANDS = re.findall(r'```bash\n(.*?)\n```', GUIDE, re.DOTALL)
ASK, HOOK, MECHANISM = re.findall(r'```python\n(.*?)```', GUIDE, re.DOTALL)


def run(command: str, folder: Path) -> subprocess.CompletedProcess:
    program, *arguments = shlex.split(command)
    assert program == 'mmattn'
    return run_forked(['mmattn', *arguments], {**os.environ, 'MMATTN_DATA': 'data'}, folder)


@pytest.fixture(scope='module')
def checkout(tmp_path_factory) -> Path:
    """A folder with configs, the toy scenes and a checkpoint like that of the demo."""
    folder = tmp_path_factory.mktemp('checkout')
    (folder / 'configs').symlink_to(REPO / 'configs')
    generate_toy_scenes(folder / 'data' / 'toy')
    _, _, config, best, *_ = shlex.split(COMMANDS[0])
    register_all_modules(init_default_scope=True)
    model = MODELS.build(Config.fromfile(REPO / config).model)
    (folder / best).parent.mkdir(parents=True)
    for name in (best, 'work_dirs/demo/iter_300.pth'):
        torch.save({'state_dict': model.state_dict()}, folder / name)
    return folder


@pytest.mark.e2e
def test_the_first_command_writes_its_pictures_and_names_the_page(checkout):
    result = run(COMMANDS[0], checkout)
    assert result.returncode == 0, result.stderr[-2000:]
    page = checkout / result.stdout.strip().splitlines()[-1]
    assert page.name == 'index.html' and page.is_file()
    assert str(page.parent).endswith('ccnet_r18-d8_1xb4-300it_toy-128x256/attention')
    sheet, shown = (Image.open(p) for p in (page.parent / 'sheet.png', _picture()))
    assert sheet.size == shown.size
    names = {path.name for path in page.parent.glob('decode_head*.png')}
    steps = ('cross', 'cross-2', 'all-steps')
    assert names == {f'decode_head.cca_{step}_20-100.png' for step in steps}


@pytest.mark.e2e
@pytest.mark.slow
def test_the_second_command_compares_two_checkpoints(checkout):
    result = run(COMMANDS[1], checkout)
    assert result.returncode == 0, result.stderr[-2000:]
    folders = {path.name for path in (checkout / 'compared').iterdir() if path.is_dir()}
    assert folders == {'best_mIoU_iter_300', 'iter_300'}


@pytest.mark.e2e
def test_a_point_that_is_none_ends_in_one_line_and_exit_code_2(checkout):
    result = run(COMMANDS[0].replace('20,100', "'20;100'"), checkout)
    assert result.returncode == 2 and 'Traceback' not in result.stderr
    assert "a point is X,Y in pixels, as in 40,90; got '20;100'" in result.stderr


def test_the_picture_is_there_and_not_empty():
    assert np.asarray(Image.open(_picture()).convert('RGB')).std() > 30


def test_the_example_in_python_runs_as_printed():
    names = {}
    exec(ASK, names)
    assert names['layer'].attention(x=40, y=10).shape == (1, 1, 32, 48)
    assert list(names['layer'].weighings) == ['cross', 'cross 2']


def test_the_hook_of_the_example_is_built(tmp_path, monkeypatch):
    monkeypatch.chdir(REPO)
    cfg = Config.fromstring(HOOK.replace("'configs/", f"'{REPO}/configs/"), '.py')
    hook = HOOKS.build(cfg.custom_hooks[-1])
    assert isinstance(hook, AttentionHook) and hook.points == [(20, 100)] and hook.index == 2
    assert len(cfg.custom_hooks) == 3


def test_the_mechanism_of_the_example_can_be_asked():
    names = {}
    exec(MECHANISM, names)
    module = names['MeanGate'](8)
    with capture_attention(module) as captured, torch.no_grad():
        module(torch.rand(1, 8, 4, 4))
    assert captured['MeanGate']['channels'].weights.shape == (1, 8, 1, 1)


def test_the_guide_names_all_mechanisms_and_kinds_that_exist():
    import mmattn.attention
    from mmattn.attention import attending, weighing

    table = re.findall(r'^\| .*$', GUIDE, re.M)
    for name in re.findall(r'`([A-Z]\w+)`', '\n'.join(table)):
        assert hasattr(mmattn.attention, name) or name.endswith('Head'), name
    for name in re.findall(r'`(\w+)`', GUIDE[GUIDE.index('have the kinds') :]):
        assert hasattr(weighing, name) or hasattr(attending, name), name


def _picture() -> Path:
    (name,) = re.findall(r'!\[[^]]*\]\((.+?)\)', GUIDE)
    return REPO / 'docs' / name
