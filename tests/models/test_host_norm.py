"""A mechanism takes the norm of what holds it."""

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmattn.errors import UserError
from mmattn.models import MECHANISMS
from mmattn.models.backbones.attn_blocks import positions
from mmattn.models.mechanisms import build_mechanism
from tests.conftest import REPO

SYNC = dict(type='SyncBN', requires_grad=True)
ARGUMENTS = {
    'GatherExcite': dict(parametrisation='theta', extent=2),
    'RGA': dict(grid=(4, 4), channel_reduction=2, spatial_reduction=2),
}
FITTING = {'map': 'plugins', 'convolution': 'conv2', 'fusion': 'fusion'}


def batch_norms(module: nn.Module) -> set[type]:
    """The kinds in a model; mmengine's SyncBatchNorm counts as torch's, whose subclass it is."""
    kinds = (nn.SyncBatchNorm, nn.BatchNorm2d)
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    return {kind for norm in norms for kind in kinds if isinstance(norm, kind)}


def build(config: dict) -> nn.Module:
    with torch.device('meta'):
        return MODELS.build(ConfigDict(config))


@pytest.mark.parametrize('name', MECHANISMS)
def test_every_mechanism_in_every_place_of_a_backbone(name):
    cfg, kind = dict(type=name, **ARGUMENTS.get(name, {})), MECHANISMS[name].kind
    if kind == 'fusion':
        options = dict(fusion=cfg)
    else:
        places = [*positions(num_convs=2), 'after_stage']
        options = dict(
            plugins=[dict(cfg=dict(cfg, postfix=f'_{place}'), position=place) for place in places]
        )
    if kind == 'convolution':
        options['conv2'] = cfg
    stage = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    backbone = build(dict(type='AttnResNet', depth=18, norm_cfg=SYNC, **stage, **options))
    assert batch_norms(backbone) == {nn.SyncBatchNorm}


@pytest.mark.parametrize('name', [n for n, row in MECHANISMS.items() if row.kind == 'map'])
def test_every_mechanism_in_a_neck_and_a_head(name):
    cfg = dict(type=name, **ARGUMENTS.get(name, {}))
    neck = build(dict(type='AttentionNeck', in_channels=[64, 128], attention=cfg, norm_cfg=SYNC))
    head = build(
        dict(
            type='AttentionHead',
            in_channels=64,
            channels=64,
            num_classes=5,
            attention=cfg,
            norm_cfg=SYNC,
        )
    )
    assert batch_norms(neck) <= {nn.SyncBatchNorm}
    assert batch_norms(head) == {nn.SyncBatchNorm}


@pytest.mark.parametrize('name', ['AFF', 'IAFF'])
def test_fusions_of_a_pyramid(name):
    pyramid = dict(
        type='AFFFPN', in_channels=[64, 128], out_channels=64, num_outs=2, fusion=dict(type=name)
    )
    assert batch_norms(build(dict(pyramid, norm_cfg=SYNC))) == {nn.SyncBatchNorm}
    # mmseg's FPN has no norm unless told, and then fusions keep theirs.
    assert batch_norms(build(pyramid)) == {nn.BatchNorm2d}


@pytest.mark.parametrize(
    ('path', 'options'),
    [
        ('plugins/fcn-se_r50-d8_4xb2-80k_cityscapes-512x1024.py', dict(fusion=dict(type='AFF'))),
        ('plugins/danet-se_r50-d8_4xb2-80k_cityscapes-512x1024.py', {}),
    ],
)
def test_models_for_several_processes_have_synchronised_norms_only(path, options):
    model = Config.fromfile(REPO / 'configs' / path).model
    model.backbone.update(options)
    model.backbone.plugins[0].cfg.type = 'CBAM'
    assert batch_norms(build(model)) == {nn.SyncBatchNorm}


def test_a_norm_of_its_own_comes_first():
    own = dict(type='BAM', reduction=4, norm_cfg=dict(type='GN', num_groups=2))
    _, module = build_mechanism('plugins', own, SYNC, in_channels=16)
    assert not batch_norms(module) and any(isinstance(m, nn.GroupNorm) for m in module.modules())
    _, module = build_mechanism('plugins', dict(type='CBAM', norm_cfg=None), SYNC, in_channels=16)
    assert not batch_norms(module)


def test_norms_of_a_frozen_backbone_train_in_mechanisms():
    frozen = dict(type='BN', requires_grad=False, eps=0.001)
    _, module = build_mechanism('plugins', dict(type='NonLocal'), frozen, in_channels=16)
    norm = module.out_project.bn
    assert norm.eps == 0.001 and all(p.requires_grad for p in norm.parameters())
    assert frozen['requires_grad'] is False


def test_the_batch_norm_of_cbam_keeps_its_momentum():
    _, module = build_mechanism('plugins', dict(type='CBAM'), SYNC, in_channels=16)
    assert module.spatial_conv.bn.momentum == 0.01


@pytest.mark.parametrize(
    ('norm_cfg', 'words'),
    [
        (dict(type='GN', num_groups=32), 'num_groups must divide .* 1 channels, got num_groups=32'),
        (dict(type='LN'), "unknown type 'LN', known are BN"),
    ],
)
def test_a_norm_of_the_host_that_does_not_fit_is_named_with_its_remedy(norm_cfg, words):
    with pytest.raises(UserError, match=f'plugins: CBAM: .*{words}.*one of its own in its config'):
        build_mechanism('plugins', dict(type='CBAM'), norm_cfg, in_channels=64)


@pytest.mark.parametrize('name', ['ReLU', 'DropPath'])
def test_a_registered_module_that_is_no_mechanism_is_told(name):
    with pytest.raises(UserError, match=f'plugins: {name} is no mechanism: .* no in_channels'):
        build_mechanism('plugins', dict(type=name), in_channels=16)
