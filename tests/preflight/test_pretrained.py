"""Pretrained weights are fetched, or the way around them is named."""

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


SHAPES = {'backbone.conv1.weight': (4, 3, 7, 7), 'backbone.bn1.weight': (4,), 'head.bias': (2,)}


def fetch(cfg: Config) -> list[str]:
    return fetch_pretrained(cfg, SHAPES)


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
        fetch(config(source, nested))
    message = str(error.value)
    assert '\n' not in message
    assert source in message and reason in message
    key = 'model.backbone.init_cfg' if nested else 'model.pretrained'
    assert message.endswith(f'--cfg-options {key}=None')


def test_the_override_it_names_works():
    cfg = config(NOBODY_THERE, nested=True)
    cfg.merge_from_dict({'model.backbone.init_cfg': None})
    fetch(cfg)


@pytest.mark.parametrize('nested', [False, True])
def test_weights_that_fit_in_part_are_told(tmp_path, nested):
    path = tmp_path / 'weights.pth'
    weights = {'conv1.weight': torch.ones(4, 3, 7, 7), 'bn1.weight': torch.ones(8)}
    torch.save(dict(state_dict={**weights, 'fc.bias': torch.ones(5)}), path)
    assert fetch(config(str(path), nested)) == [
        f'pretrained weights {path}: fills 1 of 2 entries of the model; new are bn1.weight (of '
        'another shape); 1 of its own are not used'
    ]


@pytest.mark.parametrize('nested', [False, True])
def test_weights_that_fit_nowhere_are_refused(tmp_path, nested):
    path = tmp_path / 'weights.pth'
    torch.save({'stages.0.weight': torch.ones(1)}, path)
    with pytest.raises(UserError, match='none of its 1 entries fits.*stages.0.weight') as error:
        fetch(config(str(path), nested))
    key = 'model.backbone.init_cfg' if nested else 'model.pretrained'
    assert str(error.value).endswith(f'--cfg-options {key}=None')


def test_a_part_of_a_checkpoint_is_compared_under_its_prefix(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'backbone.conv1.weight': torch.ones(4, 3, 7, 7)}, path)
    cfg = config(str(path), nested=True)
    with pytest.raises(UserError, match='none of its'):
        fetch(cfg)
    cfg.model.backbone.init_cfg.prefix = 'backbone'
    assert 'fills 1 of 2' in fetch(cfg)[0]


def test_a_backbone_with_a_way_of_its_own_is_left_to_it(tmp_path):
    torch.save({'patch_embed.proj.weight': torch.ones(1)}, tmp_path / 'swin.pth')
    cfg = config(str(tmp_path / 'swin.pth'), nested=True)
    cfg.model.backbone.type = 'SwinTransformer'  # converts the names of the original weights
    assert fetch(cfg) == []


@pytest.mark.parametrize('nested', [False, True])
def test_a_resumed_run_asks_for_none(nested):
    cfg = config(NOBODY_THERE, nested)
    drop_pretrained(cfg)
    fetch(cfg)
