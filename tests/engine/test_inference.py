"""Lean inference: the same as MMSegmentation's own, in slices and in parts."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmattn.apis import load_model
from mmattn.benchmarks.memory import peak_memory
from mmattn.engine import inference
from mmattn.engine.inference import make_lean
from mmattn.errors import UserError


@pytest.fixture(scope='module')
def models(trained_model):
    """The model as it is, and the same, lean."""
    plain = load_model(*trained_model)
    lean = copy.deepcopy(plain)
    assert make_lean(lean)
    return plain, lean


def image(*size: int) -> torch.Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))


def metas(size, original=None, **other) -> list[dict]:
    shapes = dict(img_shape=size, pad_shape=size, ori_shape=original or size)
    return [{**shapes, **other}, {**shapes, **other}]


@pytest.mark.parametrize('together', [1, 4 * 32 * 24, 10**9], ids=['single', 'some', 'all'])
@pytest.mark.parametrize(
    ('size', 'crop', 'stride'),
    [
        ((48, 64), (32, 24), (20, 24)),
        ((33, 47), (32, 24), (7, 11)),
        ((20, 60), (32, 24), (20, 20)),
        ((24, 24), (24, 24), (10, 10)),
    ],
)
def test_windows_give_the_logits_of_mmseg(models, monkeypatch, size, crop, stride, together):
    monkeypatch.setattr(inference, 'pixels_of_a_pass', lambda device: together)
    plain, lean = models
    for model in models:
        monkeypatch.setattr(
            model, 'test_cfg', type(model.test_cfg)(mode='slide', crop_size=crop, stride=stride)
        )
        monkeypatch.setattr(model, 'keep_logits', True, raising=False)
    with torch.no_grad():
        expected = plain.slide_inference(image(*size), metas(size))
        given = metas(size)
        ours = lean.slide_inference(image(*size), given)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    assert given == metas(size)  # mmseg writes the window's size into it


@pytest.mark.parametrize('at_once', [1, 3 * 40 * 56, 10**9], ids=['single', 'some', 'all'])
@pytest.mark.parametrize(
    'meta',
    [
        dict(),
        dict(original=(61, 83)),
        dict(original=(23, 31), flip=True, flip_direction='horizontal'),
        dict(flip=True, flip_direction='vertical'),
        dict(img_padding_size=(3, 5, 2, 4), original=(34, 48)),
    ],
    ids=['same', 'larger', 'flipped', 'upside down', 'padded'],
)
@pytest.mark.parametrize('align', [False, True])
@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_labels_are_exactly_those_of_mmseg(models, monkeypatch, at_once, meta, align, mode):
    monkeypatch.setattr(inference, 'RESIZED_AT_ONCE', at_once)
    for model in models:
        test_cfg = type(model.test_cfg)(mode=mode, crop_size=(24, 32), stride=(16, 20))
        monkeypatch.setattr(model, 'test_cfg', test_cfg)
        monkeypatch.setattr(model, 'align_corners', align)
        monkeypatch.setattr(model.decode_head, 'align_corners', align)
    size = (40, 56)
    predictions = []
    for model in models:
        samples = [SegDataSample(metainfo=given) for given in metas(size, **meta)]
        with torch.no_grad():
            predictions.append(model.predict(image(*size), samples))
    for ours, theirs in zip(predictions[1], predictions[0], strict=True):
        assert torch.equal(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)
        assert ours.pred_sem_seg.data.unique().numel() > 1
        assert 'seg_logits' not in ours


@pytest.mark.parametrize('align', [False, True])
@pytest.mark.parametrize('original', [(96, 128), (23, 150), (200, 31)])
@pytest.mark.parametrize('seed', range(5))
def test_classes_that_are_left_out_win_nowhere(models, monkeypatch, original, align, seed):
    lean = models[1]
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 40, 3, 4, generator=generator) + torch.randn(
        1, 40, 1, 1, generator=generator
    )
    logits = F.interpolate(coarse, (22, 32), mode='bicubic')
    possible = inference._may_win(logits)
    assert 1 < len(possible) < 40
    monkeypatch.setattr(lean, 'align_corners', align)
    monkeypatch.setattr(lean, 'out_channels', 40)
    expected = logits
    for size in ((96, 128), original):
        expected = F.interpolate(expected, size, mode='bilinear', align_corners=align)
    (meta, _) = metas((96, 128), original)
    assert torch.equal(lean._best_class(logits, meta), expected.argmax(1)[0])


@pytest.mark.parametrize('small', [(64, 96), (256, 384)], ids=['enlarged', 'of the image'])
def test_labels_take_the_memory_of_a_few_classes(models, monkeypatch, small):
    lean, size = models[1], (256, 384)
    monkeypatch.setattr(lean, 'out_channels', 100)
    monkeypatch.setattr(inference, 'RESIZED_AT_ONCE', 4 * size[0] * size[1])
    logits = torch.randn(1, 100, *small, generator=torch.Generator().manual_seed(0))
    (meta, _) = metas(size, size)
    memory = peak_memory(lambda: lean._best_class(logits, meta), 'cpu')
    assert memory < logits.nbytes + 20 * 4 * size[0] * size[1]


@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_without_samples_labels_have_the_size_of_the_input(models, monkeypatch, mode):
    predictions = []
    for model in models:
        test_cfg = type(model.test_cfg)(mode=mode, crop_size=(24, 32), stride=(16, 20))
        monkeypatch.setattr(model, 'test_cfg', test_cfg)
        with torch.no_grad():
            predictions.append(model.predict(image(40, 56)))
    for ours, theirs in zip(predictions[1], predictions[0], strict=True):
        assert torch.equal(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)


def test_windows_that_leave_pixels_out_are_refused(models, monkeypatch):
    lean = models[1]
    test_cfg = type(lean.test_cfg)(mode='slide', crop_size=(16, 16), stride=(16, 24))
    monkeypatch.setattr(lean, 'test_cfg', test_cfg)
    with torch.no_grad(), pytest.raises(UserError, match='pixels that none of them sees'):
        lean.predict(image(40, 56))


def test_images_flipped_in_other_ways_are_refused(models):
    lean = models[1]
    given = metas((40, 56), flip=True, flip_direction='diagonal')
    samples = [SegDataSample(metainfo=meta) for meta in given]
    with torch.no_grad(), pytest.raises(UserError, match="flipped 'diagonal'.*or vertical alone"):
        lean.predict(image(40, 56), samples)


def test_windows_of_full_size_are_merged_at_once(models, monkeypatch):
    lean = models[1]
    test_cfg = type(lean.test_cfg)(mode='slide', crop_size=(24, 32), stride=(16, 20))
    monkeypatch.setattr(lean, 'test_cfg', test_cfg)
    monkeypatch.setattr(lean, 'encode_decode', lambda inputs, metas: inputs)
    merged = lean.slide_inference(image(40, 56), metas((40, 56)))
    torch.testing.assert_close(merged, image(40, 56))


def test_logits_are_kept_where_they_are_wanted(models, monkeypatch):
    plain, lean = models
    monkeypatch.setattr(type(lean), 'keep_logits', True)
    results = []
    for model in models:
        samples = [SegDataSample(metainfo=given) for given in metas((40, 56), (50, 70))]
        with torch.no_grad():
            results.append(model.predict(image(40, 56), samples))
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert isinstance(ours.seg_logits, PixelData)
        assert torch.equal(ours.seg_logits.data, theirs.seg_logits.data)


def test_models_that_infer_in_a_way_of_their_own_keep_it(models):
    model = copy.deepcopy(models[0])

    class Mine(type(model)):
        def slide_inference(self, inputs, batch_img_metas):
            return inputs

    model.__class__ = Mine
    assert not make_lean(model)
    assert type(model) is Mine
