"""The table of mechanisms, and each of its rows in a stage of a small ResNet."""

import pytest
import torch
from mmengine.registry import MODELS as SHARED_MODELS
from mmseg.registry import MODELS
from torch import nn

from mmattn import attention
from mmattn.models import MECHANISMS

# Classes that no single place of a backbone has the inputs of.
PARTS_OF_HEADS = {'AFNB', 'AsymmetricNonLocal', 'ObjectAttention', 'SpatialGather'}
# The defaults of all others fit the 64 channels of the first stage.
ARGUMENTS = {'ShuffleAttention': dict(groups=16)}
FAMILIES = {
    'ResNet': {},
    'ResNetV1c': {},
    'ResNetV1d': {},
    'ResNeXt': dict(groups=4, base_width=4),
    'ResNeSt': dict(groups=1, base_width=4, radix=2, reduction_factor=2),
}


def test_every_mechanism_is_in_the_table_under_the_name_of_its_class():
    assert set(MECHANISMS) == set(attention.__all__) - PARTS_OF_HEADS
    for name, mechanism in MECHANISMS.items():
        assert mechanism.module is getattr(attention, name)
        assert MODELS.get(name) is mechanism.module


def test_no_name_hides_one_of_mmcv_or_another_mechanism():
    assert not set(MECHANISMS) & set(SHARED_MODELS.module_dict)
    abbreviations = [mechanism.abbreviation for mechanism in MECHANISMS.values()]
    assert len(set(abbreviations)) == len(abbreviations)


def one_stage(depth: int, **options) -> nn.Module:
    cfg = dict(
        type='AttnResNet',
        depth=depth,
        num_stages=1,
        strides=(1,),
        dilations=(1,),
        out_indices=(0,),
        norm_cfg=dict(type='BN'),
    )
    torch.manual_seed(0)
    network = MODELS.build(cfg | options)
    network.init_weights()
    return network


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('name', MECHANISMS)
def test_mechanisms_train_in_a_stage(name, depth):
    mechanism = MECHANISMS[name]
    cfg = dict(type=name, **ARGUMENTS.get(name, {}))
    if mechanism.kind == 'fusion':
        options = dict(fusion=cfg)
    else:
        # After a convolution and before a ReLU, each of which may change its input in place.
        places = ('after_conv1', 'after_add')
        options = dict(
            plugins=[dict(cfg=dict(cfg, postfix=f'_{place}'), position=place) for place in places]
        )
    if mechanism.kind == 'convolution':
        options['conv2'] = cfg
    network = one_stage(depth, **options)
    modules = [m for m in network.modules() if isinstance(m, mechanism.module)]
    copies = {'fusion': 1, 'map': 2, 'convolution': 3}[mechanism.kind]
    assert len(modules) == copies * network.stage_blocks[0]
    (output,) = network(torch.randn(2, 3, 32, 32))
    assert output.shape == (2, 64 if depth == 18 else 256, 8, 8)
    output.square().sum().backward()
    for module in modules:
        for key, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@pytest.mark.parametrize('family', FAMILIES)
def test_a_plain_name_is_a_plugin_of_mmsegs_own_backbones(family):
    plugins = [dict(cfg=dict(type='CBAM', reduction=2), position='after_conv3')]
    options = dict(depth=50, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN'))
    network = MODELS.build(dict(type=family, plugins=plugins, **options | FAMILIES[family]))
    gates = [m for m in network.modules() if isinstance(m, attention.CBAM)]
    assert len(gates) == sum(network.stage_blocks)
    assert network.layer1[0].cbam is gates[0]
    sum(y.mean() for y in network(torch.randn(2, 3, 32, 32))).backward()
    assert all(p.grad is not None for gate in gates for p in gate.parameters())
