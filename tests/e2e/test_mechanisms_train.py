"""Every mechanism trains through the command, at the place where its config puts it."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from .conftest import REPO

PLUGINS = sorted((REPO / 'configs' / 'plugins').glob('fcn-*_r18-d8_*_camvid-360x480.py'))
(TOY,) = REPO.glob('configs/ccnet/ccnet_r18-d8_*_toy-128x256.py')
SHORT = (
    'train_cfg.max_iters=20',
    'train_cfg.val_interval=1000',
    'train_dataloader.batch_size=2',
    'default_hooks.checkpoint.interval=20',
    'default_hooks.logger.interval=1',
)


def on_the_toy_set(path: Path) -> str:
    """The text of a config: the toy config, half as wide, with what a config puts into it."""
    model = Config.fromfile(path).model.to_dict()
    places = ('type', 'plugins', 'fusion', 'conv2')
    backbone = {key: value for key, value in model['backbone'].items() if key in places}
    parts = dict(
        backbone=dict(backbone, base_channels=32, stem_channels=32),
        decode_head=dict(type=model['decode_head']['type'], in_channels=256),
        auxiliary_head=dict(in_channels=128),
    )
    return f'_base_ = {str(TOY)!r}\nmodel = {parts}\n'


@pytest.mark.slow
@pytest.mark.parametrize('path', PLUGINS, ids=lambda path: path.stem.split('_')[0])
def test_loss_falls_within_twenty_iterations(run_tool, path, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(on_the_toy_set(path))
    result = run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', *SHORT)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    losses = [float(value) for value in re.findall(r'Iter\(train\).* loss: (\S+)', result.stdout)]
    assert len(losses) == 20
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


def test_every_mechanism_has_a_config():
    from mmattn.models import MECHANISMS

    texts = ''.join(path.read_text() for path in PLUGINS)
    assert all(f"type='{name}'" in texts for name in MECHANISMS)
