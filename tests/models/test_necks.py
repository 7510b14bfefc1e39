"""The necks on feature maps, in segmentors, and against mmseg's FPN."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

import mmattn.models  # noqa: F401  registers the necks
from mmattn.errors import UserError

CHANNELS = (8, 16, 32, 64)


def build(name: str, **arguments) -> nn.Module:
    torch.manual_seed(0)
    neck = MODELS.build(dict(type=name, in_channels=CHANNELS, **arguments))
    neck.init_weights()
    return neck.eval()


def pyramid(height: int = 24, width: int = 40) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(2, channels, height >> i, width >> i, generator=generator)
        for i, channels in enumerate(CHANNELS)
    ]


def test_attention_neck_puts_one_mechanism_on_all_levels():
    neck, maps = build('AttentionNeck', attention=dict(type='SE', reduction=4)), pyramid()
    with torch.no_grad():
        outputs = neck(maps)
    assert [level.excite[0].out_channels for level in neck.levels] == [2, 4, 8, 16]
    for level, x, y in zip(neck.levels, maps, outputs, strict=True):
        torch.testing.assert_close(y, level(x))
        assert y.shape == x.shape and not torch.equal(x, y)


def test_attention_neck_takes_a_mechanism_for_each_level():
    attention = [None, dict(type='ECA'), dict(type='CBAM'), dict(type='PositionAttention')]
    neck, maps = build('AttentionNeck', attention=attention), pyramid()
    names = [type(level).__name__ for level in neck.levels]
    assert names == ['Identity', 'ECA', 'CBAM', 'PositionAttention']
    with torch.no_grad():
        outputs = neck(maps)
    assert outputs[0] is maps[0]
    assert [y.shape for y in outputs] == [x.shape for x in maps]


def aff_fpn(**arguments) -> nn.Module:
    """Fusions whose weights are 1/2 everywhere: with gain 2 they are sums."""
    neck = build('AFFFPN', out_channels=16, fusion=dict(type='AFF', gain=2.0), **arguments)
    for parameter in neck.fusions.parameters():
        nn.init.zeros_(parameter)
    return neck


@pytest.mark.parametrize(
    'arguments',
    [
        dict(num_outs=4),
        dict(num_outs=3, start_level=1),
        dict(num_outs=2, end_level=2),
        dict(num_outs=4, upsample_cfg=dict(mode='bilinear', align_corners=False)),
        dict(num_outs=4, upsample_cfg=dict(scale_factor=2, mode='nearest')),
        dict(num_outs=4, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU')),
    ],
    ids=str,
)
def test_aff_fpn_with_sums_for_fusions_is_the_fpn(arguments):
    neck = aff_fpn(**arguments)
    fpn = MODELS.build(dict(type='FPN', in_channels=list(CHANNELS), out_channels=16, **arguments))
    missing, unexpected = neck.load_state_dict(fpn.state_dict(), strict=False)
    assert not unexpected
    assert all(key.startswith('fusions.') for key in missing)
    with torch.no_grad():
        for ours, theirs in zip(neck(pyramid()), fpn.eval()(pyramid()), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_aff_fpn_resizes_maps_that_are_no_multiples():
    maps = [x[:, :, : 23 >> i, : 37 >> i] for i, x in enumerate(pyramid())]
    with torch.no_grad():
        outputs = aff_fpn(num_outs=4)(maps)
    assert [y.shape for y in outputs] == [(2, 16, *x.shape[2:]) for x in maps]


def test_aff_fpn_gives_the_finer_level_the_weight_of_attention():
    neck, maps = aff_fpn(num_outs=4), pyramid()
    for fusion in neck.fusions:
        fusion.gain = 1.0
        nn.init.constant_(fusion.attention.local_branch[-1].bn.bias, 100.0)
    with torch.no_grad():
        for i, output in enumerate(neck(maps)):
            finer = neck.fpn_convs[i](neck.lateral_convs[i](maps[i]))
            torch.testing.assert_close(output, finer)


@pytest.mark.parametrize('fusion', ['AFF', 'IAFF'])
def test_aff_fpn_trains_all_of_its_parameters(fusion):
    neck = build('AFFFPN', out_channels=16, num_outs=4, fusion=dict(type=fusion)).train()
    sum(output.square().mean() for output in neck(pyramid())).backward()
    for key, parameter in neck.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@pytest.mark.parametrize(
    ('neck', 'head'),
    [
        (
            dict(
                type='AttentionNeck',
                in_channels=CHANNELS,
                attention=[None, None, None, dict(type='CBAM', reduction=4)],
            ),
            dict(type='FCNHead', in_channels=64, in_index=3),
        ),
        (
            dict(type='AFFFPN', in_channels=CHANNELS, out_channels=16, num_outs=4),
            dict(
                type='FPNHead',
                in_channels=[16] * 4,
                in_index=[0, 1, 2, 3],
                feature_strides=[4, 8, 16, 32],
            ),
        ),
    ],
    ids=['AttentionNeck', 'AFFFPN'],
)
def test_necks_train_and_predict_in_a_segmentor(neck, head):
    config = dict(
        type='EncoderDecoder',
        backbone=dict(type='ResNetV1c', depth=18, base_channels=8, stem_channels=8),
        neck=neck,
        decode_head=dict(channels=16, num_classes=5, norm_cfg=dict(type='BN'), **head),
        test_cfg=dict(mode='whole'),
    )
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(config))
    model.init_weights()
    images = torch.randn(2, 3, 64, 96)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.ones(1, 64, 96).long()))] * 2
    for sample in samples:
        sample.set_metainfo(dict(img_shape=(64, 96), ori_shape=(64, 96)))
    losses = model.train().loss(images, samples)
    losses['decode.loss_ce'].backward()
    gradients = [parameter.grad for parameter in model.neck.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    with torch.no_grad():
        assert model.eval().predict(images, samples)[0].seg_logits.data.shape == (5, 64, 96)


@pytest.mark.parametrize(
    ('name', 'arguments', 'words'),
    [
        ('AttentionNeck', dict(attention=[dict(type='SE')]), 'each of the 4 levels.*got 1'),
        ('AttentionNeck', dict(attention=dict(type='AFF')), "attention: type must.*got 'AFF'"),
        ('AFFFPN', dict(out_channels=16, num_outs=5), 'no extra levels: num_outs must be 4, got 5'),
        (
            'AFFFPN',
            dict(out_channels=16, num_outs=4, fusion=dict(type='SE')),
            "fusion: type must be one of AFF, IAFF, .*got 'SE'",
        ),
    ],
)
def test_wrong_arguments_are_named(name, arguments, words):
    with pytest.raises(UserError, match=words):
        build(name, **arguments)
