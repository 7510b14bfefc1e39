"""Views of an image are averaged as MMSegmentation does, in the memory of one."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmseg.models.segmentors import SegTTAModel
from mmseg.structures import SegDataSample

from mmattn.apis import load_model
from mmattn.apis import test as measure
from mmattn.benchmarks.memory import peak_memory
from mmattn.engine import inference, views
from mmattn.engine.inference import make_lean
from mmattn.engine.views import average_in_turn
from tests.small_model import with_data

SIZE = (45, 61)
VIEWS = [
    (shape, flip) for shape in ((30, 40), (45, 61)) for flip in (None, 'horizontal', 'vertical')
]
FLIPPED = {'horizontal': 2, 'vertical': 1}


@pytest.fixture(scope='module')
def plain(trained_model):
    return load_model(*trained_model)


@pytest.fixture(scope='module')
def lean(plain):
    fast = copy.deepcopy(plain)
    assert make_lean(fast)
    return fast


def in_turn(model) -> SegTTAModel:
    averaging = SegTTAModel(model)
    average_in_turn(averaging)
    assert type(averaging) is not SegTTAModel
    return averaging


def data(images: int = 2, kinds=VIEWS, size=SIZE) -> dict:
    """As a `tta_pipeline` gives them, collated."""
    packed = []
    for index in range(images):
        generator = torch.Generator().manual_seed(index)
        blocks = torch.randint(256, (1, 3, 4, 5), generator=generator).float()
        meta = dict(ori_shape=size, img_path=f'{index}.png')
        views = {'inputs': [], 'data_samples': []}
        for shape, flip in kinds:
            pixels = F.interpolate(blocks, shape)[0].byte()
            pixels = pixels.flip(FLIPPED[flip]) if flip else pixels
            shapes = dict(img_shape=shape, pad_shape=shape)
            flipped = dict(flip=bool(flip), flip_direction=flip)
            views['inputs'].append(pixels)
            views['data_samples'].append(SegDataSample(metainfo={**meta, **shapes, **flipped}))
        packed.append(views)
    return pseudo_collate(packed)


def settings(model, monkeypatch, mode, padded) -> None:
    windows = type(model.test_cfg)(mode=mode, crop_size=(24, 32), stride=(16, 20))
    monkeypatch.setattr(model, 'test_cfg', windows)
    monkeypatch.setattr(
        model.data_preprocessor, 'test_cfg', dict(size_divisor=32) if padded else None
    )


@pytest.mark.parametrize('together', [0, 2 * 2 * 30 * 40, 10**9], ids=['single', 'some', 'all'])
@pytest.mark.parametrize('padded', [False, True], ids=['', 'padded'])
@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_labels_and_means_are_those_of_mmseg(plain, lean, monkeypatch, mode, padded, together):
    monkeypatch.setattr(views, 'pixels_of_a_pass', lambda device: together)
    for model in (plain, lean):
        settings(model, monkeypatch, mode, padded)
    averaged = SegTTAModel(plain)
    with torch.no_grad():
        expected = averaged.test_step(data())
        of_views = [
            plain.test_step({k: v[i] for k, v in data().items()}) for i in range(len(VIEWS))
        ]
        samples = in_turn(lean).test_step(data())
        _, means = in_turn(lean)._means(data())
    for index, (ours, theirs) in enumerate(zip(samples, expected, strict=True)):
        scores = [of_view[index].seg_logits.data.softmax(0) for of_view in of_views]
        torch.testing.assert_close(means[index], sum(scores) / len(VIEWS), atol=1e-5, rtol=0)
        assert torch.equal(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)
        assert ours.img_path == theirs.img_path == f'{index}.png'
        assert 'seg_logits' not in ours
    labels = torch.stack([each.pred_sem_seg.data for each in samples])
    assert padded or labels.unique().numel() > 1


def test_a_model_as_it_is_gives_the_same_labels(plain):
    with torch.no_grad():
        expected = SegTTAModel(plain).test_step(data())
        samples = in_turn(plain).test_step(data())
    for ours, theirs in zip(samples, expected, strict=True):
        assert torch.equal(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)
        assert 'seg_logits' not in ours


@pytest.mark.parametrize('fast', [False, True], ids=['plain', 'lean'])
def test_one_channel_is_held_against_the_threshold(plain, lean, monkeypatch, fast):
    """Its probabilities are averaged, of which mmseg takes the sigmoid once more."""
    for model in (plain, lean):
        first_of = partial(first_channel, model.encode_decode)
        monkeypatch.setattr(model, 'encode_decode', first_of)
        monkeypatch.setattr(model, 'out_channels', 1)
        monkeypatch.setattr(model.decode_head, 'threshold', 0.5)
    with torch.no_grad():
        of_views = [
            plain.test_step({k: v[i] for k, v in data().items()}) for i in range(len(VIEWS))
        ]
        means = [sum(v[i].seg_logits.data for v in of_views) / len(VIEWS) for i in range(2)]
        for model in (plain, lean):
            monkeypatch.setattr(model.decode_head, 'threshold', float(means[0].quantile(0.3)))
        _, ours = in_turn(lean if fast else plain)._means(data())
        samples = in_turn(lean if fast else plain).test_step(data())
    for sample, mean, expected in zip(samples, ours, means, strict=True):
        torch.testing.assert_close(mean, expected, atol=1e-5, rtol=0)
        labels = sample.pred_sem_seg.data
        assert torch.equal(labels, (mean > model.decode_head.threshold).float())
    assert 0.69 < samples[0].pred_sem_seg.data.mean() < 0.71


def first_channel(encode_decode, inputs, metas):
    return encode_decode(inputs, metas)[:, :1]


def test_views_of_one_shape_share_passes_within_the_budget(lean, monkeypatch):
    passes = []
    network = lean.encode_decode

    def counted(inputs, metas):
        passes.append(tuple(inputs.shape))
        return network(inputs, metas)

    monkeypatch.setattr(lean, 'encode_decode', counted)
    for together in (0, 2 * 2 * 30 * 40, 10**9):
        monkeypatch.setattr(views, 'pixels_of_a_pass', lambda device, together=together: together)
        with torch.no_grad():
            in_turn(lean).test_step(data())
    small, large = (3, 30, 40), (3, 45, 61)
    assert passes[:6] == [(2, *small)] * 3 + [(2, *large)] * 3
    assert passes[6:11] == [(4, *small), (2, *small)] + [(2, *large)] * 3
    assert passes[11:] == [(6, *small), (6, *large)]


@pytest.mark.parametrize('together', [0, 10**9], ids=['single', 'all'])
@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_memory_does_not_grow_with_the_number_of_views(lean, monkeypatch, mode, together):
    monkeypatch.setattr(views, 'pixels_of_a_pass', lambda device: together)
    size, classes = (128, 192), 50
    monkeypatch.setattr(inference, 'RESIZED_AT_ONCE', 4 * size[0] * size[1])
    windows = type(lean.test_cfg)(mode=mode, crop_size=(128, 128), stride=(128, 64))
    monkeypatch.setattr(lean, 'test_cfg', windows)
    monkeypatch.setattr(lean, 'out_channels', classes)
    monkeypatch.setattr(
        lean,
        'encode_decode',
        lambda inputs, metas: torch.randn(
            len(inputs), classes, inputs.shape[2] // 8, inputs.shape[3] // 8
        ),
    )
    averaging, peaks = in_turn(lean), []
    for count in (2, 5):
        kinds = [(size, 'horizontal'), ((160, 240), None)] * count
        given = data(images=1, kinds=kinds, size=size)
        with torch.no_grad():
            peaks.append(peak_memory(lambda given=given: averaging.test_step(given), 'cpu'))
    image = 4 * classes * size[0] * size[1]
    # Of views that share a pass, inputs and small logits are there together, not those enlarged.
    assert peaks[1] < peaks[0] + (0.01 if together == 0 else 0.6) * image
    assert max(peaks) < 4 * image


@pytest.mark.parametrize('name', ['merge_preds', 'test_step'])
def test_a_model_that_averages_in_a_way_of_its_own_keeps_it(plain, name):
    kind = type('Mine', (SegTTAModel,), {name: lambda self, data: data})
    averaging = kind(plain)
    average_in_turn(averaging)
    assert type(averaging) is kind


def test_a_test_run_measures_as_with_the_model_of_mmseg(
    trained_model, toy_root, tmp_path, monkeypatch
):
    config = with_data(trained_model[0], toy_root / 'toy', tmp_path)
    options = dict(tta=True, work_dir=tmp_path / 'log', check_data='off')
    options['cfg_options'] = {'test_dataloader.dataset.indices': 4}
    ours = measure(config, trained_model[1], **options)
    faster = measure(config, trained_model[1], optimize=True, **options)
    models = []
    monkeypatch.setattr('mmattn.apis.testing.average_in_turn', models.append)
    assert measure(config, trained_model[1], **options) == ours
    assert [type(model) for model in models] == [SegTTAModel]
    assert faster['mIoU'] == pytest.approx(ours['mIoU'], abs=0.5)
