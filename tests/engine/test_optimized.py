"""The faster model gives the labels of the plain one, or gives way to it."""

import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmattn.apis import load_model
from mmattn.engine import optimized as optimized_module
from mmattn.engine.optimized import CheckedModel, optimized
from mmattn.engine.packed import PackedConv2d
from mmattn.models.mechanisms import TABLE


@MODELS.register_module(force=True)
class HeadOfTests(FCNHead):
    """May read what it likes."""


PLUGINS = [name for name, row in TABLE.items() if row.kind in ('map', 'convolution')]


def batch(index: int) -> dict:
    pixels = torch.randint(256, (3, 40, 56), generator=torch.Generator().manual_seed(index))
    meta = dict(img_shape=(40, 56), ori_shape=(50, 70), pad_shape=(40, 56))
    return {'inputs': [pixels.byte()], 'data_samples': [SegDataSample(metainfo=meta)]}


@pytest.fixture(scope='module')
def plain(trained_model):
    return load_model(*trained_model)


def test_the_copy_is_fused_and_without_auxiliary_head_and_gives_the_same_labels(plain):
    fast = optimized(plain)
    assert not any(isinstance(module, _BatchNorm) for module in fast.modules())
    assert any(isinstance(module, _BatchNorm) for module in plain.modules())
    assert not fast.with_auxiliary_head and plain.with_auxiliary_head
    assert fast.backbone.stem[0].weight.is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for index in range(3):
            (ours,), (theirs,) = (model.test_step(batch(index)) for model in (fast, plain))
            same = ours.pred_sem_seg.data == theirs.pred_sem_seg.data
            assert same.float().mean() > 0.999


@pytest.mark.parametrize('options', [dict(affine=False), dict(track_running_stats=False)])
def test_norms_of_every_kind_give_the_same_after_fusing(options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **options))
    x = torch.randn(2, 3, 9, 9)
    model(3 * x + 1)  # in training: statistics
    model.eval()
    expected = model(x)
    torch.testing.assert_close(optimized_module._fused(model)(x), expected)


_CONV = dict(type='ConvModule', in_channels=3, out_channels=3, kernel_size=3)
_BRANCHES = dict(num_modules=1, block='BASIC')
_HRNET = dict(
    stage1=dict(
        num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(8,)
    ),
    **{
        f'stage{n}': dict(
            _BRANCHES, num_branches=n, num_blocks=(1,) * n, num_channels=(4, 8, 16, 32)[:n]
        )
        for n in (2, 3, 4)
    },
)


@pytest.mark.parametrize(
    ('settings', 'left'),
    [
        (_CONV, 0),
        (dict(_CONV, order=('norm', 'conv', 'act')), 1),
        (dict(_CONV, order=('conv', 'act', 'norm')), 1),
        (dict(_CONV, with_spectral_norm=True), 1),
        (dict(_CONV, conv_cfg=dict(type='ConvAWS')), 1),
        (dict(type='ResNetV1d', depth=18, base_channels=8, stem_channels=8), 0),
        (dict(type='HRNet', extra=_HRNET), 0),
        # Of these mmcv's function took norms for others', and failed.
        (dict(type='ERFNet'), 39),
        (dict(type='CGNet', num_channels=(8, 16, 32), num_blocks=(2, 2)), 7),
    ],
)
def test_norms_are_fused_where_they_are_known_to_follow_a_convolution(settings, left):
    torch.manual_seed(0)
    settings = dict(settings, norm_cfg=dict(type='BN'))
    kind = settings.pop('type')
    module = (MODELS.get(kind) or ConvModule)(**settings)
    module.eval()  # returns None of mmseg's ResNet
    for value in module.state_dict().values():
        if value.ndim == 1 and value.is_floating_point():
            value.uniform_(0.5, 1)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        fused = optimized_module._fused(copy.deepcopy(module))
        torch.testing.assert_close(fused(x), module(x), atol=1e-4, rtol=1e-4)
    assert sum(isinstance(part, _BatchNorm) for part in fused.modules()) == left


def test_a_convolution_of_two_norms_is_not_fused():
    conv = nn.Conv2d(3, 3, 3)
    model = nn.Sequential(*(nn.Sequential(conv, nn.BatchNorm2d(3)) for _ in range(2))).eval()
    fused = optimized_module._fused(model)
    assert sum(isinstance(part, _BatchNorm) for part in fused.modules()) == 2


_FCN = dict(type='FCNHead', in_channels=512, channels=8, num_convs=1, num_classes=5)
_OBJECT_REGIONS = [
    {**_FCN, 'in_index': 2, 'in_channels': 256},
    dict(type='OCRNetHead', in_channels=512, channels=16, ocr_channels=8, num_classes=5),
]
_DEEPLAB = dict(  # reads the first stage, whatever its in_index
    type='DepthwiseSeparableASPPHead',
    in_index=3,
    in_channels=512,
    channels=8,
    c1_in_channels=64,
    c1_channels=8,
    num_classes=5,
)
_PYRAMID = dict(type='UPerHead', in_index=[1, 3], in_channels=[128, 512], channels=8, num_classes=5)


def residual_network(head: dict | list) -> EncoderDecoder:
    """A ResNet-18 of full width, with random weights, and a head, or a cascade of two."""
    cascade = isinstance(head, list)
    kind = (
        dict(type='CascadeEncoderDecoder', num_stages=2) if cascade else {'type': 'EncoderDecoder'}
    )
    parts = dict(
        backbone=dict(type='AttnResNet', depth=18, strides=(1, 2, 1, 1)),
        decode_head=head,
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[128] * 3, std=[64] * 3),
        test_cfg=ConfigDict(mode='whole'),
    )
    return MODELS.build({**kind, **parts}).eval()


@pytest.mark.parametrize(
    ('head', 'kept', 'read'),
    [
        ({**_FCN, 'in_index': 3}, (3,), 0),
        (_FCN, (3,), 0),
        ({**_FCN, 'in_index': 0, 'in_channels': 64}, (0,), 0),
        (_PYRAMID, (1, 3), [0, 1]),
        ({**_PYRAMID, 'in_index': [3, 1], 'in_channels': [512, 128]}, (1, 3), [1, 0]),
        (_OBJECT_REGIONS, (2, 3), 1),
        ({**_FCN, 'type': 'HeadOfTests', 'in_index': 3}, (0, 1, 2, 3), 3),
        (_DEEPLAB, (0, 1, 2, 3), 3),
    ],
)
def test_maps_that_no_head_reads_are_not_kept(monkeypatch, head, kept, read):
    model = residual_network(head)
    fast = optimized(model)
    monkeypatch.setattr(optimized_module, '_drop_unused_outputs', lambda segmentor: None)
    with_all = optimized(model)
    last = fast.decode_head[-1] if isinstance(head, list) else fast.decode_head
    assert (fast.backbone.out_indices, last.in_index) == (kept, read)
    with torch.no_grad():
        (ours,), (theirs,) = (each.test_step(batch(0)) for each in (fast, with_all))
        fast.autocast_dtype = None  # where the CPU has bfloat16
        (exact,), (plain,) = (each.test_step(batch(0)) for each in (fast, model))
    assert torch.equal(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)
    assert (exact.pred_sem_seg.data == plain.pred_sem_seg.data).float().mean() > 0.999


def test_packed_convolutions_of_a_whole_model_give_its_logits(monkeypatch):
    monkeypatch.setattr(optimized_module, 'cpu_has_bfloat16', lambda: False)
    model = residual_network(_FCN)
    fast = optimized(model, keep_logits=True)
    assert sum(type(module) is PackedConv2d for module in fast.modules()) > 15
    with torch.no_grad():
        (ours,), (theirs,) = (each.test_step(batch(0)) for each in (fast, model))
    torch.testing.assert_close(ours.seg_logits.data, theirs.seg_logits.data, atol=1e-4, rtol=1e-4)


def test_half_precision_gives_nearly_the_same_labels(plain):
    """bfloat16, which every CPU computes somehow."""
    fast = optimized(plain)
    fast.autocast_dtype = torch.bfloat16
    with torch.no_grad():
        (ours,), (theirs,) = (model.test_step(batch(0)) for model in (fast, plain))
    same = (ours.pred_sem_seg.data == theirs.pred_sem_seg.data).float().mean()
    assert 0.9 < same < 1


@pytest.mark.parametrize('name', PLUGINS)
def test_norms_of_every_mechanism_are_fused_without_a_trace(name):
    torch.manual_seed(0)
    module = MODELS.build(dict(type=name, in_channels=64)).eval()
    for value in module.state_dict().values():
        if value.ndim == 1:
            value.uniform_(0.5, 1.5)
    x = torch.randn(2, 64, 9, 13)
    with torch.no_grad():
        torch.testing.assert_close(
            optimized_module._fused(copy.deepcopy(module))(x), module(x), atol=1e-4, rtol=1e-4
        )


class Labels(torch.nn.Module):
    """A model that counts its calls and labels everything alike, but for some pixels."""

    def __init__(self, wrong: int = 0):
        super().__init__()
        self.wrong, self.calls = wrong, 0

    def test_step(self, data):
        self.calls += 1
        labels = torch.zeros(1, 10, 100, dtype=torch.long)
        labels.view(-1)[: self.wrong] = 1
        for sample in data['data_samples']:
            sample.pred_sem_seg = PixelData(data=labels)
        return data['data_samples']


def test_the_first_images_go_through_both_and_the_others_through_the_fast_one():
    plain, fast = Labels(), Labels(wrong=10)
    checked = CheckedModel(plain, fast)
    wrong = [int(checked.test_step(batch(i))[0].pred_sem_seg.data.sum()) for i in range(5)]
    assert wrong == [0, 0, 0, 10, 10]
    assert (plain.calls, fast.calls) == (3, 5)


def test_a_model_that_differs_gives_way_with_a_warning(told):
    plain, fast = Labels(), Labels(wrong=11)
    checked = CheckedModel(plain, fast)
    assert all(checked.test_step(batch(i))[0].pred_sem_seg.data.sum() == 0 for i in range(5))
    assert (plain.calls, fast.calls) == (5, 1)
    ((level, warning),) = told
    assert level == 'WARNING'
    assert 'gives 98.9% of the labels of the plain one' in warning
