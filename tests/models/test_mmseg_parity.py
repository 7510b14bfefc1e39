"""Our heads take mmseg's arguments and state dicts and give mmseg's numbers."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads import ANNHead, CCHead, DAHead, FCNHead, GCHead, OCRHead, cc_head
from mmseg.structures import SegDataSample
from torch import nn

from mmattn.attention import CrissCross
from mmattn.benchmarks.models import criss_cross_of_mmcv
from mmattn.models import (
    ANLHead,
    BandedFCNHead,
    CCNetHead,
    DANetHead,
    GCNetHead,
    OCRNetHead,
)

SIZES = [(13, 17), (9, 21)]
COMMON = dict(channels=32, num_classes=7, norm_cfg=dict(type='BN'))
ONE = dict(in_channels=24, **COMMON)
PAIRS = {
    'danet': (DAHead, DANetHead, dict(pam_channels=8, **ONE)),
    'ccnet': (CCHead, CCNetHead, dict(recurrence=2, **ONE)),
    'ccnet-3-no-concat': (CCHead, CCNetHead, dict(recurrence=3, concat_input=False, **ONE)),
    'anl': (
        ANNHead,
        ANLHead,
        dict(project_channels=8, **COMMON | dict(in_channels=[16, 24], in_index=[0, 1])),
    ),
    'gcnet': (GCHead, GCNetHead, ONE),
    'gcnet-avg-mul-add': (
        GCHead,
        GCNetHead,
        dict(ratio=1 / 8, pooling_type='avg', fusion_types=('channel_mul', 'channel_add'), **ONE),
    ),
    'auxiliary': (FCNHead, BandedFCNHead, dict(num_convs=1, concat_input=False, **ONE)),
    'ocrnet': (OCRHead, OCRNetHead, dict(ocr_channels=8, **ONE)),
}


@pytest.fixture(autouse=True)
def criss_cross():
    with criss_cross_of_mmcv():
        yield


def build(name: str) -> tuple[nn.Module, nn.Module]:
    """mmseg's head with random parameters (no gamma left at 0), and ours with its state dict."""
    theirs_class, ours_class, kwargs = PAIRS[name]
    torch.manual_seed(0)
    theirs, ours = theirs_class(**kwargs), ours_class(**kwargs)
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if key.endswith('running_var'):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point():
                value.normal_(std=0.1).add_(1.0 if value.dim() == 1 and 'weight' in key else 0.0)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def features(name: str, size: tuple[int, int]) -> tuple[list[torch.Tensor], ...]:
    """The arguments of the head's forward: features, and coarse logits for the cascade."""
    channels = PAIRS[name][2]['in_channels']
    channels = channels if isinstance(channels, list) else [channels]
    generator = torch.Generator().manual_seed(1)
    feats = [torch.randn(2, c, *size, generator=generator) for c in channels]
    if name == 'ocrnet':
        return feats, torch.randn(2, COMMON['num_classes'], *size, generator=generator)
    return (feats,)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('name', PAIRS)
def test_outputs_agree(name, size):
    theirs, ours = build(name)
    args = features(name, size)
    with torch.no_grad():
        expected, actual = theirs.eval()(*args), ours.eval()(*args)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)
    scale = (expected[0] if isinstance(expected, tuple) else expected).abs().max()
    assert scale > 0.1, 'the outputs are too small to tell the heads apart'


@pytest.mark.parametrize('name', PAIRS)
def test_predictions_agree(name):
    theirs, ours = build(name)
    args = features(name, (13, 17))
    metas = [dict(img_shape=(100, 131))] * 2
    with torch.no_grad():
        expected, actual = (head.eval().predict(*args, metas, {}) for head in (theirs, ours))
    assert actual.shape == (2, 7, 100, 131)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize('name', PAIRS)
def test_losses_and_gradients_of_a_training_step_agree(name):
    theirs, ours = build(name)
    results = []
    for head in (theirs, ours):
        args = features(name, (13, 17))
        leaves = [x.requires_grad_() for x in [*args[0], *args[1:]]]
        torch.manual_seed(2)
        losses = head.train().loss(*args, labels(), {})
        sum(value for key, value in losses.items() if 'loss' in key).backward()
        gradients = {key: p.grad for key, p in head.named_parameters()}
        results.append((losses, gradients, [x.grad for x in leaves], head.state_dict()))
    torch.testing.assert_close(results[1], results[0], atol=1e-4, rtol=1e-4)


def test_mmsegs_own_ccnet_head_takes_our_operator(monkeypatch):
    theirs, _ = build('ccnet')
    monkeypatch.setattr(cc_head, 'CrissCrossAttention', CrissCross)
    patched = CCHead(**PAIRS['ccnet'][2])
    assert isinstance(patched.cca, CrissCross)
    patched.load_state_dict(theirs.state_dict(), strict=True)
    args = features('ccnet', (13, 17))
    with torch.no_grad():
        torch.testing.assert_close(patched.eval()(*args), theirs.eval()(*args), atol=1e-4, rtol=0)


def labels() -> list[SegDataSample]:
    """Two label maps of 26 x 34 with some void pixels."""
    maps = torch.randint(0, 7, (2, 1, 26, 34), generator=torch.Generator().manual_seed(3))
    maps[:, :, :3] = 255
    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in maps]
