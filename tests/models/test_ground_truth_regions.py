"""OCR with the regions of the labels, as a head and as a segmentor that predicts."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

import mmattn.models  # noqa: F401  registers what is built here
from mmattn.errors import UserError

COMMON = dict(in_channels=8, num_classes=3, norm_cfg=dict(type='BN'))
SIZE = (16, 24)


def head(**options) -> nn.Module:
    torch.manual_seed(0)
    cfg = dict(type='GroundTruthOCRHead', channels=16, ocr_channels=4, in_index=0, **COMMON)
    return MODELS.build(cfg | options).eval()


def samples(seed: int = 0, void: int = 5) -> list[SegDataSample]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (2, 1, *SIZE), generator=generator)
    labels[:, :, :void] = 255
    found = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    for sample in found:
        sample.set_metainfo(dict(img_shape=SIZE, ori_shape=SIZE, pad_shape=SIZE))
    return found


@torch.no_grad()
def test_context_of_a_pixel_is_the_region_of_its_label():
    net = head()
    feats = [torch.randn(2, 8, *SIZE)]
    labels = torch.cat([sample.gt_sem_seg.data for sample in samples()])
    x, block = net.bottleneck(feats[0]), net.object_context_block
    own = torch.zeros(2, 4, *SIZE)
    for b in range(2):
        for label in range(3):
            pixels = labels[b] == label
            region = x[b][:, pixels].mean(dim=1).reshape(1, -1, 1, 1)
            own[b][:, pixels] = block.value_project(region).reshape(-1, 1)
    expected = net.cls_seg(block.bottleneck(torch.cat([block.out_project(own), x], dim=1)))
    maps = net._maps([sample.gt_sem_seg.data for sample in samples()])
    assert maps.sum() == (labels != 255).sum()
    torch.testing.assert_close(net(feats, maps), expected)


def test_attention_to_the_true_regions_has_the_parameters_of_ocr():
    ocr = MODELS.build(dict(type='OCRNetHead', channels=16, ocr_channels=4, in_index=0, **COMMON))
    head(relation='attention').load_state_dict(ocr.state_dict(), strict=True)
    with pytest.raises(ValueError, match="relation must be one of .*'labels'.*got 'truth'"):
        head(relation='truth')


def segmentor(relation: str = 'labels', **test_cfg) -> nn.Module:
    torch.manual_seed(0)
    backbone = dict(
        type='ResNetV1c',
        depth=18,
        base_channels=8,
        stem_channels=8,
        num_stages=1,
        strides=(1,),
        dilations=(1,),
        out_indices=(0,),
        norm_cfg=dict(type='BN'),
    )
    coarse = dict(type='FCNHead', channels=8, num_convs=1, in_index=0, **COMMON)
    fine = dict(
        type='GroundTruthOCRHead', channels=16, ocr_channels=4, in_index=0, relation=relation
    )
    return MODELS.build(
        ConfigDict(
            type='GroundTruthCascade',
            num_stages=2,
            backbone=backbone,
            decode_head=[coarse, fine | COMMON],
            test_cfg=dict(mode='whole') | test_cfg,
        )
    )


@pytest.mark.parametrize('relation', ['labels', 'attention'])
def test_trains_on_the_labels_and_predicts_from_them(relation):
    model = segmentor(relation)
    images = torch.randn(2, 3, *SIZE)
    losses = model.train().loss(images, samples())
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key

    def logits(seed: int) -> torch.Tensor:
        given = samples(seed)
        before = [sample.metainfo for sample in given]
        with torch.no_grad():
            results = model.eval().predict(images, given)
        assert [sample.metainfo for sample in given] == before
        return torch.stack([result.seg_logits.data for result in results])

    assert torch.equal(logits(0), logits(0))
    assert (logits(0) - logits(1)).abs().max() > 1e-5


def test_what_it_cannot_predict_is_named():
    images, flipped = torch.randn(2, 3, *SIZE), samples()
    flipped[1].set_metainfo(dict(flip=True))
    cases = [
        (segmentor(), None, 'image without one'),
        (segmentor(), [SegDataSample(), SegDataSample()], 'image without one'),
        (segmentor(), flipped, 'no test-time augmentation'),
        (segmentor(mode='slide', crop_size=(8, 8), stride=(8, 8)), samples(), 'no windows'),
    ]
    for model, given, words in cases:
        with pytest.raises(UserError, match=words):
            model.eval().predict(images, given)
