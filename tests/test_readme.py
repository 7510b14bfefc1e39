"""What the README shows exists and works."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

from mmattn.cli import COMMANDS

REPO = Path(__file__).resolve().parents[1]
README = (REPO / 'README.md').read_text()
# Configs that the README tells its reader to write, with where.
WRITTEN = {
    'configs/danet/danet_mydata.py': 'danet_r50-d8_1xb8-20k_camvid-360x480.py',
    'configs/ccnet/ccnet-recurrence3_r18-d8_1xb8-20k_camvid-360x480.py': (
        'ccnet_r18-d8_1xb8-20k_camvid-360x480.py'
    ),
    'configs/plugins/my-cbam_r18-d8_1xb8-20k_camvid-360x480.py': (
        'fcn_r18-d8_1xb8-20k_camvid-360x480.py'
    ),
}


def blocks(language: str) -> list[str]:
    return re.findall(rf'```{language}\n(.*?)```', README, re.DOTALL)


def test_every_file_named_exists():
    named = set(re.findall(r'(?:configs|tools|docs|data)/[\w./-]+\.(?:py|md|png)', README))
    assert len(named) > 8
    missing = [name for name in named if name not in WRITTEN and not (REPO / name).is_file()]
    assert not missing


def test_commands_use_targets_and_options_that_exist():
    makefile = (REPO / 'Makefile').read_text()
    commands = [line for block in blocks('bash') for line in block.splitlines()]
    assert commands
    for command in commands:
        words = shlex.split(command, comments=True)
        if words[0] == 'make':
            assert re.search(rf'^{words[1]}:', makefile, re.MULTILINE), command
        if words[0] == 'mmattn':
            assert words[1] in COMMANDS, command
        tool = next((w for w in words if w.startswith('tools/') or w in COMMANDS), None)
        if tool:
            known = ''.join(file.read_text() for file in (REPO / 'mmattn' / 'cli').glob('*.py'))
            options = [w for w in words[words.index(tool) :] if w.startswith('--')]
            assert all(f"'{option}'" in known for option in options), command


@pytest.mark.parametrize('name', WRITTEN)
def test_configs_to_write_build(name, monkeypatch):
    monkeypatch.setenv('MMATTN_DATA', '/datasets')
    base = WRITTEN[name]
    (text,) = (block for block in blocks('python') if f"_base_ = './{base}'" in block)
    folder = (REPO / name).parent
    with_absolute_base = text.replace(f'./{base}', str(folder / base))
    cfg = Config.fromstring(with_absolute_base, '.py')
    register_all_modules(init_default_scope=True)
    cfg.model.pretrained = None
    model = MODELS.build(cfg.model)
    if 'mydata' in name:
        assert model.decode_head.conv_seg.out_channels == 3
        assert cfg.train_dataloader.dataset.type == 'BaseSegDataset'
        assert cfg.test_dataloader.dataset.data_root == '/datasets/mydata'
        assert cfg.val_dataloader.dataset.data_prefix.img_path == 'images/val'
    elif 'recurrence3' in name:
        assert model.decode_head.cca.recurrence == 3
    else:
        assert sum(type(module).__name__ == 'CBAM' for module in model.modules()) == 6


def test_module_example_runs():
    (text,) = (block for block in blocks('python') if 'mmattn.attention' in block)
    names = {}
    exec(text, names)
    assert names['y'].shape == torch.Size([2, 64, 33, 65])
