"""A study of two variants with a model small enough for seconds."""

import os
from pathlib import Path

import pytest

from mmattn.datasets.toy import generate_toy_scenes
from mmattn.preflight.config import CONFIGS

from ..e2e.conftest import LOADERS

(CONFIG,) = CONFIGS.glob('ccnet/ccnet_r18-d8_*_toy-128x256.py')
ITERATIONS = 4
_TEXT = """
question = 'Does SE help a tiny net?'
base = {base!r}
baseline = 'none'
seeds = {seeds}
options = {{
    'model.backbone': dict(type='AttnResNetV1c', base_channels=8, stem_channels=8),
    'model.decode_head': dict(type='FCNHead', in_channels=64, channels=16),
    'model.auxiliary_head': dict(in_channels=32, channels=8),
    **{{f'{{loader}}.num_workers': 0 for loader in {loaders}}},
    **{{f'{{loader}}.persistent_workers': False for loader in {loaders}}},
    'train_dataloader.batch_size': 2,
    'val_dataloader.dataset.indices': 2,
    'default_hooks': dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=2)),
    'train_cfg': dict(max_iters={iterations}, val_interval={iterations}),
}}
plugins = [dict(cfg=dict(type='SE'), position='after_conv2')]
variants = dict(none=dict(), se={{'model.backbone.plugins': plugins}})
class_groups = dict(hulls=['car', 'boat'])
"""


@pytest.fixture(scope='session')
def toy_data(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp('data')
    generate_toy_scenes(data / 'toy')
    return data


@pytest.fixture
def write_study(tmp_path, toy_data, monkeypatch):
    """Write the study file; its data is the toy set."""
    monkeypatch.setenv('MMATTN_DATA', str(toy_data))

    def write(seeds: tuple[int, ...] = (0,), iterations: int = ITERATIONS) -> Path:
        base = os.path.relpath(CONFIG, tmp_path)
        text = _TEXT.format(base=base, seeds=seeds, loaders=LOADERS, iterations=iterations)
        file = tmp_path / 'tiny.py'
        file.write_text(text)
        return file

    return write
