"""Labels beyond the sample that is looked at first are checked when a run meets them."""

import time

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image
from torch.utils.data import DataLoader

from mmattn.datasets.watch import _CheckLabel, watch_labels
from mmattn.errors import UserError, explain_workers

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
PACKED = [*PIPELINE, dict(type='PackSegInputs')]
TTA = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=p) for p in (0.0, 1.0)],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


@pytest.fixture
def dataset(tmp_path):
    """Build a data set of one image and this label, watched for three classes and void 255."""

    def build(label: np.ndarray, pipeline=PACKED, **settings):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / 'a.jpg')
        Image.fromarray(label).save(tmp_path / 'a.png')
        prefix = dict(img_path=str(tmp_path), seg_map_path=str(tmp_path))
        cfg = dict(type='BaseSegDataset', data_prefix=prefix, pipeline=pipeline)
        cfg |= dict(metainfo=dict(classes=('a', 'b', 'c'))) | settings
        built = DATASETS.build(cfg)
        watch_labels(built, 3, {255})
        return built

    return build


def label(*values: int, dtype=np.uint8) -> np.ndarray:
    array = np.zeros((8, 8), dtype)
    array.flat[: len(values)] = values
    return array


@pytest.mark.parametrize('pipeline', [PACKED, TTA], ids=['plain', 'tta'])
def test_classes_and_void_pass(dataset, pipeline):
    assert 'data_samples' in dataset(label(0, 1, 2, 255), pipeline)[0]


@pytest.mark.parametrize('pipeline', [PACKED, TTA, PIPELINE], ids=['plain', 'tta', 'unpacked'])
def test_a_value_that_is_no_class_is_told_with_its_file(dataset, tmp_path, pipeline):
    with pytest.raises(UserError, match=f'label {tmp_path}/a.png holds 3, 17 .*3 classes'):
        dataset(label(0, 17, 3, 255), pipeline)[0]


def test_values_that_the_data_set_maps_to_classes_pass(dataset):
    assert dataset(label(0, 1, 2, 3, 255), reduce_zero_label=True)[0]


def test_sixteen_bits_are_not_cut_to_eight(dataset):
    with pytest.raises(UserError, match='a.png holds the value 258, of which mmseg would keep 2'):
        dataset(label(1, 258, dtype=np.uint16))[0]
    assert dataset(label(1, 2, dtype=np.uint16))[0]


def test_a_label_that_is_cut_off_is_told_with_its_file(dataset, tmp_path):
    built = dataset(np.random.default_rng(0).integers(0, 3, (8, 8), np.uint8))
    data = (tmp_path / 'a.png').read_bytes()
    (tmp_path / 'a.png').write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=f'cannot read label {tmp_path}/a.png'):
        built[0]


def test_a_contradiction_in_the_config_is_no_fault_of_a_file(dataset):
    steps = [PIPELINE[0], dict(type='LoadAnnotations', reduce_zero_label=False)]
    with pytest.raises(UserError, match='reduce_zero_label of the data set and of LoadAnnotations'):
        dataset(label(0, 1), steps, reduce_zero_label=True)[0]


def test_an_image_that_cannot_be_read_is_told_with_its_file(dataset, tmp_path):
    built = dataset(label(0))
    (tmp_path / 'a.jpg').write_bytes(b'no image')
    with pytest.raises(UserError, match=f'cannot read image {tmp_path}/a.jpg'):
        built[0]


def test_colours_and_other_sizes_are_told(dataset):
    with pytest.raises(UserError, match='3 channels'):
        dataset(np.zeros((8, 8, 3), np.uint8))[0]
    with pytest.raises(UserError, match='is 4x8 .* is 8x8'):
        dataset(np.zeros((8, 4), np.uint8))[0]


def test_data_sets_inside_a_wrapper_are_watched(dataset):
    wrapped = DATASETS.build(dict(type='RepeatDataset', times=2, dataset=dataset(label(0))))
    watch_labels(wrapped, 1, set())
    assert sum(isinstance(step, _CheckLabel) for step in wrapped.dataset.pipeline.transforms) == 2


def test_a_worker_tells_it_as_if_there_were_no_worker(dataset, tmp_path):
    loader = DataLoader(dataset(label(9)), num_workers=1, collate_fn=list)
    with pytest.raises(UserError, match=f'^label {tmp_path}/a.png') as error, explain_workers():
        next(iter(loader))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('ignored', [set(), {255}, {0}, {7, 255}])
@pytest.mark.parametrize('classes', [1, 3, 254, 255, 256])
def test_exactly_classes_and_ignored_values_pass(ignored, classes):
    check = _CheckLabel(classes, frozenset(ignored))
    for value in range(256):
        results = {'gt_seg_map': np.full((2, 2), value, np.uint8), 'seg_map_path': 'a.png'}
        if value < classes or value in ignored:
            check(results)
        else:
            with pytest.raises(UserError, match=f'a.png holds {value} '):
                check(results)


def test_the_check_of_a_large_label_costs_under_two_milliseconds():
    values = np.random.default_rng(0).integers(0, 19, (1024, 2048), np.uint8)
    values[:100] = 255
    check, results = _CheckLabel(19, frozenset({255})), {'gt_seg_map': values}
    times = []
    for _ in range(20):
        start = time.perf_counter()
        check(results)
        times.append(time.perf_counter() - start)
    assert min(times) < 2e-3
