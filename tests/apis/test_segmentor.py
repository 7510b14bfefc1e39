"""Segmentor: images of every kind become labels, as MMSegmentation's own tools give them."""

import copy
import gc
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.apis import inference_model
from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import MODELS
from PIL import Image

import mmattn
from mmattn.apis import Prediction, Segmentor, export, tune
from mmattn.apis.attending import watch
from mmattn.benchmarks.memory import peak_memory
from mmattn.datasets import ToyScenesDataset
from mmattn.datasets.toy_scenes import render_scene
from mmattn.errors import UserError
from mmattn.preflight.config import load_config
from mmattn.processor import cpu_has_bfloat16
from tests.small_model import CONFIG

SLIDE = {'model.test_cfg': dict(mode='slide', crop_size=(32, 32), stride=(20, 20))}
PADDED = {'model.data_preprocessor.test_cfg': dict(size_divisor=32)}


@pytest.fixture(scope='module')
def scene() -> np.ndarray:
    """Blue, green, red."""
    image, _ = render_scene(np.random.Generator(np.random.PCG64(0)), road_first=True)
    return np.ascontiguousarray(image[..., ::-1])


@pytest.fixture(scope='module')
def files(scene, tmp_path_factory):
    """Pictures of several sizes, one of them grey."""
    folder = tmp_path_factory.mktemp('pictures')
    pictures = [scene, scene[:, :128], cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY), scene[:61, :203]]
    paths = [folder / f'{index}.png' for index in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        assert cv2.imwrite(str(path), picture)
    return paths


@pytest.fixture(scope='module')
def segmentor(trained_model) -> Segmentor:
    return mmattn.Segmentor(*trained_model)


@pytest.mark.parametrize('options', [{}, SLIDE, PADDED], ids=['whole', 'slide', 'padded'])
def test_labels_and_logits_equal_those_of_mmseg(trained_model, files, scene, options):
    segmentor = Segmentor(*trained_model, optimize=False, cfg_options=options)
    theirs = copy.deepcopy(segmentor.model)
    for image in [*files, scene]:
        given = image if isinstance(image, np.ndarray) else str(image)
        expected = inference_model(theirs, given)
        ours = segmentor(image, logits=True)
        torch.testing.assert_close(ours.logits, expected.seg_logits.data, atol=1e-5, rtol=0)
        assert (ours.labels == expected.pred_sem_seg.data[0].numpy()).all()
        assert len(ours.shares) > 1
        theirs.cfg.test_pipeline[0]['type'] = 'LoadImageFromFile'  # inference_model changes it


def test_every_kind_of_image_gives_the_same_labels(segmentor, files, scene, tmp_path):
    expected = segmentor(scene).labels
    rgb = np.ascontiguousarray(scene[..., ::-1])
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    kinds = [files[0], str(files[0]), Image.fromarray(rgb), tensor, tensor / 255]
    kinds += [scene.astype(np.float32), np.dstack([scene, scene[..., :1]]), scene[:, ::-1][:, ::-1]]
    for image in kinds:
        assert (segmentor(image).labels == expected).mean() > 0.999, type(image)
    grey = cv2.imread(str(files[2]), cv2.IMREAD_GRAYSCALE)
    of_grey = segmentor(files[2]).labels
    for image in (grey, grey[..., None], Image.fromarray(grey), torch.from_numpy(grey)):
        assert (segmentor(image).labels == of_grey).all()


def test_a_list_a_batch_and_an_iterator_give_one_prediction_for_each(trained_model, scene, files):
    segmentor = Segmentor(*trained_model, batch_size=3)
    single = [segmentor(path).labels for path in files]
    together = segmentor([*files, files[0], files[0]])
    assert [p.path for p in together] == [*files, files[0], files[0]]
    for ours, expected in zip(together, [*single, single[0], single[0]], strict=True):
        assert ours.labels.shape == expected.shape
        assert (ours.labels == expected).mean() > 0.999
    batch = segmentor(np.stack([scene, scene[:, ::-1]]))
    assert len(batch) == 2 and (batch[0].labels == single[0]).mean() > 0.999
    assert segmentor([]) == []


@pytest.mark.parametrize('batch_size', [1, 3])
def test_an_iterator_is_read_one_batch_ahead(trained_model, scene, batch_size):
    segmentor = Segmentor(*trained_model, optimize=False, batch_size=batch_size)
    read = []

    def camera():
        while True:
            read.append(1)
            yield scene

    before = threading.active_count()
    stream = segmentor.predict(camera())
    assert not read
    for count in range(1, 2 * batch_size + 1):
        assert isinstance(next(stream), Prediction)
        batches = -(-count // batch_size)
        assert len(read) == (batches + 1) * batch_size
    stream.close()
    assert threading.active_count() == before


@pytest.mark.parametrize('kind', [list, iter])
def test_images_are_prepared_while_the_network_is_at_others(
    trained_model, scene, monkeypatch, kind
):
    segmentor = Segmentor(*trained_model, optimize=False)
    prepared, network, load = [threading.Event() for _ in range(3)], segmentor.model, segmentor.load
    numbers, ahead = iter(range(3)), iter((1, 2, 2))

    def noted(image):
        number = next(numbers)
        loaded = load(image)
        prepared[number].set()
        return loaded

    def beside(data, test_step=network.test_step):
        assert prepared[next(ahead)].wait(timeout=20)
        return test_step(data)

    monkeypatch.setattr(segmentor, 'load', noted)
    monkeypatch.setattr(network, 'test_step', beside)
    assert len(list(segmentor(kind([scene] * 3)))) == 3


@pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor], ids=['array', 'tensor'])
def test_an_iterator_may_use_its_memory_again(trained_model, scene, kind):
    segmentor = Segmentor(*trained_model, optimize=False)
    order = (2, 0, 1) if kind is torch.as_tensor else (0, 1, 2)
    images = [np.ascontiguousarray(image.transpose(order)) for image in (scene, 255 - scene)]

    def frames():
        memory = images[0].copy()
        for image in images:
            memory[:] = image
            yield kind(memory)

    expected = [segmentor(kind(image)) for image in images]
    for ours, theirs in zip(segmentor(frames()), expected, strict=True):
        assert (ours.labels == theirs.labels).all() and (ours.image == theirs.image).all()


def test_an_image_that_cannot_be_read_is_told_after_the_results_before_it(segmentor, scene):
    stream = segmentor.predict(iter([scene, scene, 'nowhere.png', scene]))
    assert isinstance(next(stream), Prediction) and isinstance(next(stream), Prediction)
    with pytest.raises(UserError, match='image nowhere.png cannot be read'):
        next(stream)
    with pytest.raises(UserError, match='image nowhere.png cannot be read'):
        segmentor([scene, 'nowhere.png'])


def test_an_image_that_cannot_be_prepared_is_told(segmentor, tmp_path):
    strip = np.zeros((2000, 3, 3), np.uint8)  # becomes a line of no width
    cv2.imwrite(str(tmp_path / 'strip.png'), strip)
    for image, name in ((tmp_path / 'strip.png', 'strip.png'), (strip, 'array')):
        words = rf'image .*{name} \(2000x3\) cannot be prepared by the test pipeline: .*inv_scale_x'
        with pytest.raises(UserError, match=words):
            segmentor(image)


@pytest.mark.parametrize('broken', ['nowhere.png', 'a generator'])
def test_an_error_comes_after_the_images_of_its_batch(trained_model, scene, broken):
    def images():
        yield from [scene] * 6
        if broken == 'a generator':
            raise OSError('the camera is gone')
        yield broken

    predictions = Segmentor(*trained_model, batch_size=4).predict(images())
    assert sum(isinstance(next(predictions), Prediction) for _ in range(6)) == 6
    with pytest.raises((UserError, OSError), match='nowhere.png|the camera is gone'):
        next(predictions)


@pytest.mark.parametrize('options', [{}, dict(tta=True)], ids=['one view', 'tta'])
def test_threads_may_share_a_segmentor(trained_model, scene, options):
    images = [np.roll(scene, 16 * number, axis=1) for number in range(6)]
    plain = Segmentor(*trained_model, optimize=False, **options)
    expected = [plain(image).labels for image in images]
    segmentor = Segmentor(*trained_model, **options)

    def predict(number: int) -> Prediction:
        return segmentor(images[number % 6], logits=not options and number % 2)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(predict, range(24)))
    for number, prediction in enumerate(found):
        assert (prediction.labels == expected[number % 6]).mean() > 0.98
        assert (prediction.logits is not None) == (not options and number % 2 == 1)


def test_a_segmentor_may_be_copied_and_sent_to_another_process(trained_model, scene):
    segmentor = Segmentor(*trained_model, optimize=False)
    expected = segmentor(scene).labels
    for other in (copy.deepcopy(segmentor), pickle.loads(pickle.dumps(segmentor))):
        assert (other(scene).labels == expected).all()


def test_models_of_other_sensors_take_their_channels(tmp_path, scene):
    config = tmp_path / 'grey.py'
    preprocessor = 'size=(64, 64), bgr_to_rgb=True,\n        mean=[123.675, 116.28, 103.53], std='
    text = CONFIG.replace(f'{preprocessor}[58.395, 57.12, 57.375]', 'mean=[120.0], std=[58.0]')
    text = text.replace("type='AttnResNetV1c'", "type='AttnResNetV1c', in_channels=1")
    grey = "LoadImageFromFile', color_type='grayscale"
    config.write_text(text.replace('LoadImageFromFile', grey))
    model = MODELS.build(load_config(config, {'model.backbone.init_cfg': None}).model)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'grey.pth')
    segmentor = Segmentor(config, tmp_path / 'grey.pth', optimize=False)
    grey = cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)
    cv2.imwrite(str(tmp_path / 'grey.png'), grey)
    expected = segmentor(tmp_path / 'grey.png').labels
    tensor = torch.from_numpy(grey)[None]
    for image in (grey, grey[..., None], tensor, Image.fromarray(grey)):
        assert (segmentor(image).labels == expected).all()


def test_frames_of_clips_come_together(tmp_path, trained_model, scene):
    plugin = dict(cfg=dict(type='SIAU', num_frames=2), position='after_stage')
    options = {'model.backbone.plugins': [plugin]}
    model = MODELS.build(
        load_config(trained_model[0], {'model.backbone.init_cfg': None} | options).model
    )
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'clips.pth')
    given = trained_model[0], tmp_path / 'clips.pth'
    frames = [scene, scene[:, ::-1], scene, scene]
    assert len(Segmentor(*given, batch_size=2, cfg_options=options)(frames)) == 4
    segmentor = Segmentor(*given, cfg_options=options)
    words = 'attends over clips of 2 frames, and 1 came together: give batch_size=2'
    with pytest.raises(UserError, match=words):
        segmentor(scene)
    for use in (
        lambda: watch(segmentor, segmentor.load(scene)),
        lambda: export(*given, out=tmp_path / 'clips.onnx', cfg_options=options),
        lambda: tune(*given, scene, cfg_options=options),
    ):
        with pytest.raises(UserError, match='attends over clips of 2 frames, and .* one image'):
            use()


def test_photographs_are_turned_as_viewers_turn_them(segmentor, scene, tmp_path):
    picture = Image.fromarray(scene[..., ::-1])
    exif = picture.getexif()
    exif[0x0112] = 6  # shown after a quarter turn to the right
    picture.save(tmp_path / 'photo.png', exif=exif)
    upright = np.ascontiguousarray(np.rot90(scene, -1))
    expected = segmentor(upright)
    for image in (tmp_path / 'photo.png', Image.open(tmp_path / 'photo.png')):
        assert (segmentor(image).image == upright[..., ::-1]).all()
        assert (segmentor(image).labels == expected.labels).all()


def test_scales_and_flips_are_averaged(trained_model, scene):
    prediction = Segmentor(*trained_model, tta=True)(scene)
    assert prediction.labels.shape == scene.shape[:2]
    mirrored = Segmentor(*trained_model, tta=True)(np.ascontiguousarray(scene[:, ::-1]))
    assert (prediction.labels == mirrored.labels[:, ::-1]).mean() > 0.99
    with pytest.raises(UserError, match='logits are of one view'):
        Segmentor(*trained_model, tta=True)(scene, logits=True)


@pytest.mark.parametrize('optimize', [False, True, 'auto'])
def test_scales_and_flips_take_the_memory_of_one_view(trained_model, scene, optimize):
    segmentor = Segmentor(*trained_model, tta=True, optimize=optimize, device='cpu')
    ours = segmentor(scene)
    theirs = SegTTAModel(copy.deepcopy(segmentor.model))
    packed = pseudo_collate([segmentor.load(scene).packed])
    with torch.inference_mode():
        (expected,) = theirs.test_step(copy.deepcopy(packed))
        memory = peak_memory(lambda: segmentor._tester.test_step(copy.deepcopy(packed)), 'cpu')
        of_all = peak_memory(lambda: theirs.test_step(packed), 'cpu')
    assert (ours.labels == expected.pred_sem_seg.data.numpy()).mean() > 0.999
    assert memory < of_all if optimize == 'auto' else memory < 0.75 * of_all


def test_a_faster_copy_that_fails_its_check_is_let_go(trained_model, scene):
    segmentor = Segmentor(*trained_model)
    fast = weakref.ref(segmentor._fast)
    with torch.no_grad():
        for weight in fast().parameters():
            weight.zero_()
    segmentor(scene)
    gc.collect()
    assert fast() is None
    assert segmentor(scene, logits=True).logits is not None


@pytest.mark.parametrize('agreement', [0.0, 1.0])
def test_how_many_labels_must_be_equal_can_be_chosen(trained_model, scene, agreement):
    segmentor = Segmentor(*trained_model, agreement=agreement)
    with torch.no_grad():
        segmentor._fast.decode_head.conv_seg.bias[0] += 1  # most labels stay
    labels = segmentor(scene).labels
    equal = (labels == Segmentor(*trained_model, optimize=False)(scene).labels).all()
    assert equal and (segmentor._fast is None) is (agreement == 1)


@pytest.mark.parametrize('half', [False, True], ids=['float32', 'bfloat16'])
def test_the_faster_copy_gives_the_same_labels_and_logits(trained_model, scene, monkeypatch, half):
    if half and not cpu_has_bfloat16():
        pytest.skip('this CPU has no kernels for bfloat16')
    monkeypatch.setattr('mmattn.engine.optimized.cpu_has_bfloat16', lambda: half)
    plain = Segmentor(*trained_model, optimize=False)
    fast = Segmentor(*trained_model, optimize=True)
    for logits in (False, True, False):
        expected, ours = plain(scene, logits=logits), fast(scene, logits=logits)
        assert (ours.labels == expected.labels).mean() > 0.999
        assert (ours.logits is None) is not logits
        if logits:
            tolerance = 2e-2 if half else 1e-5
            difference = (ours.logits - expected.logits).abs().max()
            assert difference <= tolerance * expected.logits.abs().max()


def test_names_and_colours(segmentor):
    assert segmentor.classes == tuple(ToyScenesDataset.METAINFO['classes'])
    assert segmentor.palette == ToyScenesDataset.METAINFO['palette']


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        ('nowhere.png', 'image nowhere.png cannot be read: No such file'),
        ('.', 'image . cannot be read: Is a directory'),
        (__file__, 'is damaged, or no image'),
        (np.zeros((4, 5), np.int64), 'an image of int64 was given'),
        (np.zeros((4, 5, 2), np.uint8), r'shape \(4, 5, 2\) was given, but the model takes 3'),
        (np.zeros((0, 5, 3), np.uint8), 'shape'),
        (torch.zeros(4), 'shape'),
        (None, 'NoneType is no image: give a path'),
        ({'img': 1}, 'dict is no image'),
    ],
)
def test_what_is_no_image_is_told_in_one_line(segmentor, image, message):
    with pytest.raises(UserError, match=message) as error:
        segmentor(image)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(batch_size=0), 'batch_size is 0'),
        (dict(batch_size='2'), "batch_size is '2': it must be an integer"),
        (dict(batch_size=True), 'batch_size is True'),
        (dict(agreement=99), 'agreement is 99: it must be a share of the labels, 0 to 1'),
        (dict(agreement='0.9'), "agreement is '0.9'"),
        (dict(agreement=float('nan')), 'agreement is nan'),
        (dict(optimize='fast'), "optimize is 'fast'"),
        (dict(tta=True, cfg_options={'tta_model': None}), 'needs tta_model and tta_pipeline'),
    ],
)
def test_a_segmentor_that_cannot_be_made(trained_model, options, message):
    with pytest.raises(UserError, match=message):
        Segmentor(*trained_model, **options)


def test_a_config_that_does_not_say_how_images_are_prepared(trained_model, tmp_path):
    config, checkpoint = trained_model
    (tmp_path / 'mine.py').write_text(
        f"_base_ = '{config}'\ntest_dataloader = None\ntest_pipeline = None\n"
    )
    with pytest.raises(UserError, match='does not say how images are prepared'):
        Segmentor(tmp_path / 'mine.py', checkpoint)
