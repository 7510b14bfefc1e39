"""Pretrained weights are fetched first, or the way around them is named."""

import pytest
import torch
from mmengine.config import Config

from mmattn.engine import checkpoints
from mmattn.errors import UserError
from mmattn.preflight.pretrained import drop_pretrained, fetch_pretrained


@pytest.fixture(scope='module', autouse=True)
def installed():
    checkpoints.install()


NOBODY_THERE = 'http://127.0.0.1:9/weights.pth'


def config(source: str, nested: bool) -> Config:
    if nested:
        backbone = dict(type='ResNet', init_cfg=dict(type='Pretrained', checkpoint=source))
        return Config(dict(model=dict(type='EncoderDecoder', backbone=backbone)))
    return Config(dict(model=dict(pretrained=source, backbone=dict(type='ResNet'))))


@pytest.mark.parametrize('nested', [False, True])
@pytest.mark.parametrize(
    ('source', 'reason'),
    [
        (NOBODY_THERE, 'Connection refused'),
        ('open-mmlab://no_such_model', 'no such name'),
        ('/no/such/file.pth', 'is not a file'),
    ],
)
def test_weights_that_cannot_be_fetched(source, reason, nested, monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    with pytest.raises(UserError) as error:
        fetch_pretrained(config(source, nested))
    message = str(error.value)
    assert '\n' not in message
    assert source in message and reason in message
    key = 'model.backbone.init_cfg' if nested else 'model.pretrained'
    assert message.endswith(f'--cfg-options {key}=None')


def test_the_override_it_names_works():
    cfg = config(NOBODY_THERE, nested=True)
    cfg.merge_from_dict({'model.backbone.init_cfg': None})
    fetch_pretrained(cfg)


def test_local_weights_are_found(tmp_path):
    torch.save(dict(state_dict={'weight': torch.ones(1)}), tmp_path / 'weights.pth')
    fetch_pretrained(config(str(tmp_path / 'weights.pth'), nested=False))


@pytest.mark.parametrize('nested', [False, True])
def test_a_resumed_run_asks_for_none(nested):
    cfg = config(NOBODY_THERE, nested)
    drop_pretrained(cfg)
    fetch_pretrained(cfg)
