"""What was measured to be faster is used where it holds, and gives way where it does not."""

import copy
import json

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample

from mmattn.apis import Segmentor, load_model
from mmattn.engine import choices
from mmattn.engine.candidates import CANDIDATES
from mmattn.engine.optimized import optimized
from mmattn.preflight.config import load_config

SIZE = (1, 3, 48, 96)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MMATTN_CACHE', str(tmp_path))


@pytest.fixture
def shapes(monkeypatch):
    """Has the modules themselves as a candidate of its own, and lists what it computes."""
    seen = []

    def make(segmentor, inputs, key):
        def run(images):
            seen.append(tuple(images.shape))
            return segmentor.network(images)

        return run

    monkeypatch.setitem(CANDIDATES, 'counted', make)
    return seen


@pytest.fixture(scope='module')
def plain(trained_model):
    return load_model(*trained_model)


def remember(plain, choice: str, size: tuple[int, ...] = SIZE, **options):
    """As a tuning of the small model would."""
    settings = copy.deepcopy(plain.cfg)
    settings.merge_from_dict(options)
    held = choices.conditions(settings.model, torch.zeros(size))
    return choices.remember(held, choice, dict(config='small', speed_up=1.5))


def same(plain, fast, size: tuple[int, int] = SIZE[2:], count: int = 1) -> bool:
    """Whether two models give each of some images nearly the same labels."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 3, *size), generator=random).byte()
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size)
    labels = []
    for model in (plain, fast):
        samples = [SegDataSample(metainfo=meta) for _ in pixels]
        with torch.inference_mode():
            samples = model.test_step({'inputs': list(pixels), 'data_samples': samples})
        labels.append(torch.cat([sample.pred_sem_seg.data for sample in samples]))
    return bool((labels[0] == labels[1]).float().mean((1, 2)).min() > 0.99)


def with_choice(plain):
    return optimized(plain, settings=plain.cfg.model)


def test_a_choice_is_used_for_the_size_that_it_was_measured_for(plain, shapes, told):
    remember(plain, 'counted')
    fast = with_choice(plain)
    assert all(same(plain, fast) for _ in range(5))
    assert shapes == [SIZE] * 5
    assert same(plain, fast, (40, 96))
    assert shapes == [SIZE] * 5
    line = '48x96: counted, measured to be 1.50 times as fast here (mmattn tune --show)'
    assert told == [('INFO', line)]


def test_windows_of_the_size_go_through_it(plain, shapes):
    plain = copy.deepcopy(plain)
    slide = dict(mode='slide', crop_size=(32, 32), stride=(16, 32))
    plain.test_cfg = ConfigDict(slide)
    remember(plain, 'counted', (1, 3, 32, 32))
    assert same(plain, with_choice(plain))
    assert shapes == [(1, 3, 32, 32)] * 6


def test_several_images_go_one_by_one_on_a_cpu_unless_measured_together(plain, shapes, told):
    pair = (2, *SIZE[1:])
    assert same(plain, with_choice(plain), count=2)
    assert shapes == []
    remember(plain, 'counted')
    assert same(plain, with_choice(plain), count=2)
    assert shapes == [SIZE] * 2
    remember(plain, 'counted', pair)
    fast = with_choice(plain)
    assert same(plain, fast, count=2) and same(plain, fast, count=3)
    assert shapes == [SIZE] * 2 + [pair] + [SIZE] * 3
    remember(plain, 'optimized', pair)
    assert same(plain, with_choice(plain), count=2)
    assert len(shapes) == 6
    assert [line.partition(':')[0] for _, line in told] == ['48x96', '2 of 48x96', '48x96']


def test_of_segmentors_only_the_checked_ones_use_it(trained_model, plain, shapes):
    remember(plain, 'counted')
    image = np.random.default_rng(0).integers(256, size=(48, 96, 3), dtype=np.uint8)
    expected = Segmentor(*trained_model, optimize=False)(image).labels
    Segmentor(*trained_model, optimize=True)(image)
    assert shapes == []
    assert (Segmentor(*trained_model)(image).labels == expected).mean() > 0.99
    assert shapes == [SIZE]
    Segmentor(*trained_model, tta=True)(image)
    assert shapes == [SIZE] * 3  # the image and its mirror image; other views are smaller


def test_a_choice_does_not_hold_for_another_model_or_number_of_threads(
    plain, shapes, told, monkeypatch
):
    remember(plain, 'counted', **{'model.decode_head.channels': 16})
    assert same(plain, with_choice(plain))
    remember(plain, 'counted')
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 99)
    assert same(plain, with_choice(plain))
    assert (shapes, told) == ([], [])


def test_a_choice_of_other_versions_is_told_and_not_used(plain, shapes, told):
    file = remember(plain, 'counted')
    record = json.loads(file.read_text())
    record['versions']['torch'] = '1.13'
    file.write_text(json.dumps(record))
    fast = with_choice(plain)
    assert same(plain, fast) and same(plain, fast)
    assert shapes == []
    ((level, line),) = told
    assert level == 'WARNING'
    assert f'with torch 1.13, and now runs with torch {torch.__version__}; measure again' in line


@pytest.mark.parametrize(
    'content', [b'', b'[]', b'{"choice": "counted", "speed_up": 2}', b'\xff\xfe', b'{"cho']
)
def test_a_damaged_file_is_told_and_survived(plain, shapes, told, content):
    file = remember(plain, 'counted')
    file.write_bytes(content)
    assert same(plain, with_choice(plain))
    assert shapes == [] and list(choices.remembered()) == []
    assert told == [
        (
            'WARNING',
            f'what was measured to be faster here is not used: {file} is damaged; measure again '
            'with mmattn tune',
        )
    ]


@pytest.mark.parametrize('count', [1, 3])
def test_a_runtime_that_is_not_there_or_fails_gives_way(count, plain, told, monkeypatch):
    def broken(segmentor, inputs, key):
        def run(images):
            raise OSError('no compiler\nat all')

        return run

    def missing(segmentor, inputs, key):
        raise ModuleNotFoundError("No module named 'engine'")

    for make in (broken, missing):
        monkeypatch.setitem(CANDIDATES, 'counted', make)
        remember(plain, 'counted')
        fast = with_choice(plain)
        assert same(plain, fast, count=count) and same(plain, fast, count=count)
    warnings = [line for level, line in told if level == 'WARNING']
    assert warnings == [
        'counted cannot run here, and is left out: OSError: no compiler',
        'what was measured to be faster here is not used: ModuleNotFoundError: No module named '
        "'engine'",
    ]


def test_one_that_computes_otherwise_gives_way(plain, told, monkeypatch):
    def make(segmentor, inputs, key):
        return lambda images: segmentor.network(images).roll(1, dims=1)

    monkeypatch.setitem(CANDIDATES, 'counted', make)
    remember(plain, 'counted')
    fast = with_choice(plain)
    assert all(same(plain, fast) for _ in range(5))
    assert [level for level, _ in told] == ['INFO', 'WARNING']
    assert 'counted gives 0.0% of the classes of the modules themselves' in told[1][1]


def test_what_it_computes_is_seen_from_the_first_image_on(plain, monkeypatch):
    def make(segmentor, inputs, key):
        return lambda images: 2 * segmentor.network(images)

    monkeypatch.setitem(CANDIDATES, 'counted', make)
    remember(plain, 'counted')
    fast, images = with_choice(plain), torch.zeros(SIZE)
    with torch.inference_mode():
        for _ in range(5):
            assert torch.equal(fast.encode_decode(images, []), 2 * fast.network(images))


def test_the_choice_of_the_modules_themselves_changes_nothing(plain, told):
    remember(plain, 'optimized')
    assert same(plain, with_choice(plain))
    assert told == []


def test_what_has_no_effect_on_the_network_is_no_condition(trained_model, plain):
    def held(settings):
        return choices.conditions(settings, torch.zeros(SIZE))

    settings = load_config(trained_model[0]).model
    assert held(plain.cfg.model) == held(settings)  # of which one has no `init_cfg`
    assert held(dict(type='SegTTAModel', module=settings)) == held(settings)
    slid = load_config(trained_model[0], {'model.test_cfg.mode': 'slide'}).model
    assert held(slid) == held(settings)
    deeper = load_config(trained_model[0], {'model.backbone.depth': 34}).model
    assert held(deeper) != held(settings)


def test_the_folder_is_the_one_of_the_variables(monkeypatch, tmp_path):
    assert choices.folder() == tmp_path / 'tuned'
    monkeypatch.delenv('MMATTN_CACHE')
    monkeypatch.setenv('XDG_CACHE_HOME', '/caches')
    assert str(choices.folder()) == '/caches/mmattn/tuned'
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', '/home/ada')
    assert str(choices.folder()) == '/home/ada/.cache/mmattn/tuned'
