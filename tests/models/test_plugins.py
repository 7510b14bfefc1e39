"""The table of mechanisms, and each of its rows in a stage of a small ResNet."""

import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as SHARED_MODELS
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmattn import attention
from mmattn.models import MECHANISMS

# Classes that no single place of a backbone has the inputs of.
PARTS_OF_HEADS = {'AFNB', 'AsymmetricNonLocal', 'ObjectAttention', 'SpatialGather'}
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
    assert ours() and not ours() & set(SHARED_MODELS.module_dict)
    abbreviations = [mechanism.abbreviation for mechanism in MECHANISMS.values()]
    assert len(set(abbreviations)) == len(abbreviations)


def ours() -> set[str]:
    """The names under which mmseg's registry has models and mechanisms of mmattn."""
    rooms = ('mmattn.models.', 'mmattn.attention.')
    modules = MODELS.module_dict.items()
    return {name for name, module in modules if module.__module__.startswith(rooms)}


def test_mmcv_and_mmseg_import_after_mmattn():
    """The other order is that of this process; a name that is taken would raise a KeyError."""
    program = (
        'import mmattn.models\n'
        'from mmseg.utils import register_all_modules\n'
        'register_all_modules(init_default_scope=False)\n'
        'from mmengine.registry import MODELS as SHARED_MODELS\n'
        'from mmseg.registry import MODELS\n'
        'print(*(f"{key}={cls.__module__}" for key, cls in MODELS.module_dict.items()))\n'
        'assert not set(mmattn.models.MECHANISMS) & set(SHARED_MODELS.module_dict)\n'
    )
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    names = dict(pair.split('=') for pair in result.stdout.splitlines()[-1].split())
    here = {key: cls.__module__ for key, cls in MODELS.module_dict.items()}
    assert names == {key: here[key] for key in names}
    assert ours() <= set(names)


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
    cfg = dict(type=name)
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


CROP = (64, 96)
# Their layers belong to a size, or their windows and grids do.
OF_A_SIZE = [
    dict(type='RGA', grid=(8, 12), channel_reduction=2, spatial_reduction=2, gate_reduction=2),
    dict(type='FCA', reduction=4),
    dict(type='FCA', size=(8, 12), reduction=4),
    dict(type='MultiHeadSelfAttention', relative_position=4),
    dict(type='GatherExcite', parametrisation='theta', size=(8, 12)),
    dict(type='GSoP', mode='both', channels=8),
    dict(type='InterlacedSparse', down_factor=(3, 5)),
]


def segmentor(cfg: dict, **test_cfg) -> nn.Module:
    norm_cfg = dict(type='BN')
    backbone = dict(
        type='AttnResNetV1c',
        depth=18,
        base_channels=8,
        stem_channels=8,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        norm_cfg=norm_cfg,
        plugins=[dict(cfg=cfg, position='after_conv2', stages=(False, True, True, True))],
    )
    head = dict(type='FCNHead', in_channels=64, channels=16, num_classes=5, norm_cfg=norm_cfg)
    config = dict(type='EncoderDecoder', backbone=backbone, decode_head=head, test_cfg=test_cfg)
    return MODELS.build(ConfigDict(deepcopy(config)))


@pytest.mark.parametrize('cfg', OF_A_SIZE, ids=str)
def test_a_checkpoint_of_one_crop_size_serves_at_others_and_in_windows(cfg, tmp_path):
    torch.manual_seed(0)
    model = segmentor(cfg, mode='whole')
    model.init_weights()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.ones(1, *CROP).long()))] * 2
    model.train().loss(torch.randn(2, 3, *CROP), samples)['decode.loss_ce'].backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    torch.save(model.state_dict(), tmp_path / 'weights.pth')

    def logits(image, **test_cfg):
        other = segmentor(cfg, **test_cfg).eval()
        other.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
        with torch.no_grad():
            return other.inference(
                image, [dict(img_shape=image.shape[2:], ori_shape=image.shape[2:])]
            )

    image = torch.randn(1, 3, 101, 141)
    whole = logits(image, mode='whole')
    slide = logits(image, mode='slide', crop_size=CROP, stride=(42, 64))
    assert whole.shape == slide.shape == (1, 5, 101, 141)
    assert whole.isfinite().all() and slide.isfinite().all()
    # The other windows begin at row 101 - 64 and column 141 - 96.
    window = logits(image[:, :, :64, :96], mode='whole')
    torch.testing.assert_close(slide[..., :37, :45], window[..., :37, :45], atol=1e-5, rtol=1e-5)
