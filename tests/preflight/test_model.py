"""What is known of a model before it is trained."""

import copy
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

import mmattn.models  # noqa: F401  registers the backbones
from mmattn.errors import UserError
from mmattn.preflight import model as model_check
from mmattn.preflight.model import look_at_model


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def config(**model) -> Config:
    settings = dict(
        type='EncoderDecoder',
        backbone=dict(type='AttnResNet', depth=18, base_channels=8, stem_channels=8),
        decode_head=dict(type='FCNHead', in_channels=64, in_index=3, channels=8, num_classes=3),
        auxiliary_head=dict(type='FCNHead', in_channels=32, in_index=2, channels=8, num_classes=3),
    )
    cfg = Config(dict(model=settings, crop_size=(64, 96)))
    cfg.merge_from_dict(dict(model=model))
    return cfg


def loss(**settings) -> dict:
    return dict(type='CrossEntropyLoss', **settings)


def test_one_channel_with_a_sigmoid_loss_passes():
    binary = dict(num_classes=2, out_channels=1, loss_decode=loss(use_sigmoid=True))
    assert look_at_model(config(decode_head=binary)).macs


def test_images_have_the_channels_that_the_backbone_takes():
    plugin = dict(cfg=dict(type='SE'), position='after_conv2')
    for channels in (1, 4):
        facts = look_at_model(config(backbone=dict(in_channels=channels, plugins=[plugin])))
        assert facts.macs and facts.plugged_macs


_PIDNET = dict(in_channels=3, channels=8, ppm_channels=8, num_stem_blocks=1, num_branch_blocks=1)
_DDRNET = dict(in_channels=3, channels=8, ppm_channels=8)
_LOSSES = [dict(type='CrossEntropyLoss', loss_name=f'loss_{number}') for number in range(2)]
_EDGES = [dict(type='BoundaryLoss'), dict(type='OhemCrossEntropy', thres=0.9, min_kept=10)]


@pytest.mark.parametrize(
    ('backbone', 'head', 'losses'),
    [
        (dict(type='DDRNet', **_DDRNET), dict(type='DDRHead', in_channels=32), _LOSSES),
        (
            dict(type='PIDNet', **_PIDNET),
            dict(type='PIDHead', in_channels=32),
            [_LOSSES[0], _EDGES[1], *_EDGES],
        ),
    ],
)
def test_outputs_for_losses_alone_are_those_of_training(backbone, head, losses):
    head = dict(head, channels=8, num_classes=3, loss_decode=losses, norm_cfg=dict(type='BN'))
    model = dict(type='EncoderDecoder', backbone=backbone, decode_head=head)
    assert look_at_model(Config(dict(model=model, crop_size=(64, 96)))).macs


def test_facts_are_those_of_the_model():
    facts = look_at_model(config())
    model = MODELS.build(copy.deepcopy(config().model))
    assert facts.shapes == {key: tuple(x.shape) for key, x in model.state_dict().items()}
    assert facts.parameters == sum(x.numel() for x in model.parameters())
    assert str(facts).count('\n') == 0
    assert 'multiply-adds for an image of 64x96' in str(facts)


@pytest.mark.parametrize('weights', [None, [1.0, 2.0, 0.5]])
def test_losses_in_bands_are_looked_at_without_values(monkeypatch, weights):
    head = dict(type='GCNetHead', loss_decode=loss(class_weight=weights))
    cfg = config(decode_head=head)
    cfg.crop_size = (512, 512)
    monkeypatch.setattr(model_check, '_confirm', None)
    assert look_at_model(cfg).macs


def test_multiply_adds_grow_with_the_image():
    small, large = config(), config()
    large.crop_size = (128, 96)
    assert look_at_model(large).macs == pytest.approx(2 * look_at_model(small).macs, rel=1e-6)


def test_attention_over_clips_is_looked_at_with_a_clip():
    plugin = dict(cfg=dict(type='SIAU', num_frames=3), position='after_stage')
    facts = look_at_model(config(backbone=dict(plugins=[plugin])))
    plugin['cfg']['num_frames'] = 1
    single = look_at_model(config(backbone=dict(plugins=[plugin])))
    assert facts.parameters == single.parameters
    assert facts.macs == pytest.approx(single.macs, rel=0.01)


def test_what_is_plugged_in_is_counted_apart():
    plugin = dict(cfg=dict(type='SE', reduction=4), position='after_conv2')
    bare, plugged = look_at_model(config()), look_at_model(config(backbone=dict(plugins=[plugin])))
    widths = [8, 16, 32, 64]
    assert plugged.plugged == sum(2 * 2 * width**2 // 4 for width in widths)
    assert plugged.parameters == bare.parameters + plugged.plugged
    assert plugged.backbone == bare.parameters - sum(
        x.numel()
        for key, x in MODELS.build(copy.deepcopy(config().model)).named_parameters()
        if not key.startswith('backbone.')
    )
    # Two layers of a gate for each of two blocks in each stage.
    assert plugged.plugged_macs == plugged.plugged
    assert plugged.macs == bare.macs + plugged.plugged_macs
    assert "of the backbone's own" in str(plugged)


def test_plugins_that_double_the_backbone_are_told_with_their_place():
    plugin = dict(cfg=dict(type='GAM'), position='after_conv2')
    text = str(look_at_model(config(backbone=dict(plugins=[plugin]))))
    assert re.search('warning: the plugins more than double.*GAM is meant for the end of one', text)


@pytest.mark.parametrize(
    ('model', 'message'),
    [
        (
            dict(decode_head=dict(in_channels=48)),
            r'model\.decode_head\.in_channels is 48 for map 3, which has 64 channels: backbone and '
            r'neck give maps of 8, 16, 32, 64 channels',
        ),
        (dict(auxiliary_head=dict(in_index=1)), r'auxiliary_head\.in_channels is 32 for map 1'),
        (dict(decode_head=dict(in_index=9)), r'in_index names map 9, but .* give 4: 0 to 3'),
        (
            dict(
                decode_head=dict(
                    in_channels=[32, 128], in_index=[2, 3], input_transform='resize_concat'
                )
            ),
            r'decode_head\.in_channels is 128 for map 3, which has 64',
        ),
        (dict(backbone=dict(depth=19)), 'invalid depth 19'),
        (
            dict(decode_head=dict(loss_decode=loss(class_weight=[1, 2]))),
            r'decode_head\.loss_decode\.class_weight has 2 weights, but the head gives 3 channels',
        ),
        (
            dict(auxiliary_head=dict(loss_decode=[loss(), loss(class_weight=[1, 2])])),
            r'auxiliary_head\.loss_decode\.class_weight has 2 weights',
        ),
        (
            dict(decode_head=dict(num_classes=2, out_channels=1)),
            r'decode_head gives one channel .*loss_decode\.use_sigmoid=True',
        ),
        (
            dict(decode_head=dict(num_classes=1, loss_decode=loss(use_sigmoid=True))),
            r'decode_head has num_classes=1, but background .* num_classes=2, .* out_channels=1',
        ),
        (
            dict(decode_head=dict(type='OCRNetHead', ocr_channels=8)),
            'decode_head is a OCRNetHead.*model.type=CascadeEncoderDecoder',
        ),
        (
            dict(neck=dict(type='AttentionNeck', in_channels=[8, 16], attention=dict(type='SE'))),
            'AttentionNeck got 4 maps for 2 levels',
        ),
        (
            dict(auxiliary_head=dict(loss_decode=loss(loss_weight='abc'))),
            r'model\.auxiliary_head.* cannot work as the config describes it',
        ),
        (dict(decode_head=dict(align_corners='abc')), r'model\.decode_head \(FCNHead\) cannot'),
        (dict(test_cfg=dict(mode='abc')), 'it must be whole or slide'),
    ],
)
def test_heads_that_do_not_fit_the_maps_are_named(model, message):
    with pytest.raises(UserError, match=message):
        look_at_model(config(**model))


@pytest.mark.parametrize(
    ('windows', 'message'),
    [
        (dict(), r'model\.test_cfg\.crop_size is None: .* two positive integers'),
        (dict(crop_size=32, stride=20), r'model\.test_cfg\.crop_size is 32'),
        (dict(crop_size=(32, 32)), r'model\.test_cfg\.stride is None'),
        (dict(crop_size=(32, 32), stride=(0, 8)), r'model\.test_cfg\.stride is \(0, 8\)'),
        (dict(crop_size=(32, 32), stride=(8.0, 8)), r'model\.test_cfg\.stride is \(8\.0, 8\)'),
        (dict(crop_size=(32, True), stride=(8, 8)), r'model\.test_cfg\.crop_size is \(32, True'),
        (
            dict(crop_size=(16, 16, 16), stride=(8, 8)),
            r'crop_size is \(16, 16, 16\)',
        ),
        (dict(crop_size=(16, 16), stride=(16, 24)), r'set model\.test_cfg\.stride to at most'),
    ],
)
def test_windows_that_cannot_be_laid_over_images_are_refused(windows, message):
    with pytest.raises(UserError, match=message) as error:
        look_at_model(config(test_cfg=dict(mode='slide', **windows)))
    assert '\n' not in str(error.value)
    look_at_model(config(test_cfg=dict(mode='whole', **windows)))


def test_windows_that_touch_are_none_of_these():
    assert look_at_model(
        config(test_cfg=dict(mode='slide', crop_size=[16, 24], stride=(16, 24)))
    ).macs


def test_windows_of_models_that_need_values_are_looked_at_too():
    parts = dict(depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8), embed_dims=16)
    backbone = dict(_delete_=True, type='SwinTransformer', **parts)
    cfg = config(backbone=backbone, decode_head=dict(in_channels=128), auxiliary_head=None)
    cfg.model.test_cfg = dict(mode='slide')
    with pytest.raises(UserError, match='crop_size is None'):
        look_at_model(cfg)


@pytest.mark.parametrize('kind', ['SwinTransformer', 'MixVisionTransformer'])
def test_backbones_that_need_values_while_they_are_built_are_no_mistake(kind):
    sizes = {
        'SwinTransformer': dict(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)),
        'MixVisionTransformer': dict(
            embed_dims=16, num_layers=[1, 1, 1, 1], num_heads=[1, 2, 4, 8]
        ),
    }
    backbone = dict(_delete_=True, type=kind, **sizes[kind])
    head = dict(in_channels=128)
    facts = look_at_model(config(backbone=backbone, decode_head=head, auxiliary_head=None))
    assert facts.parameters > 0


def test_a_wrong_neck_is_not_blamed_on_the_head():
    neck = dict(type='FPN', in_channels=[8, 16, 32, 48], out_channels=16, num_outs=4)
    with pytest.raises(UserError) as error:
        look_at_model(config(neck=neck, decode_head=dict(in_channels=16, in_index=0)))
    assert 'neck' in str(error.value) and 'decode_head' not in str(error.value)


class WrongConvolution(nn.Module):
    """A plugin whose convolution does not take the channels that it gets."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels + 1, in_channels, 1)

    def forward(self, x):
        return self.conv(x)


class NeedsValues(nn.Module):
    """A plugin that looks at a value while it is built, and at another when it runs."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((in_channels, 1, 1), torch.ones(1).item()))

    def forward(self, x):
        return x * self.scale if x.sum().item() > 0 else x


@pytest.mark.parametrize('plugin', [WrongConvolution, NeedsValues])
def test_a_module_of_the_user_is_left_to_fail_or_run_by_itself(plugin):
    MODELS.register_module(name=plugin.__name__, module=plugin, force=True)
    plugins = [dict(cfg=dict(type=plugin.__name__), position='after_conv2')]
    facts = look_at_model(config(backbone=dict(plugins=plugins)))
    assert facts.macs is None
    assert 'cannot be counted' in str(facts)
    assert any('scale' in key or 'conv' in key for key in facts.shapes)
