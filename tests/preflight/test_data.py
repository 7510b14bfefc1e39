"""The data sets of a config are checked against its heads."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

import mmattn.apis  # noqa: F401  registers the data sets
from mmattn.errors import UserError
from mmattn.preflight.data import check_data


def config(dataset: dict, decode, auxiliary=None) -> Config:
    init_default_scope('mmseg')
    model = dict(decode_head=decode, auxiliary_head=auxiliary)
    return Config(dict(model=model, train_dataloader=dict(dataset=dataset)))


@pytest.mark.parametrize(
    ('decode', 'auxiliary', 'place'),
    [
        (dict(num_classes=5), None, 'model.decode_head.num_classes is 5'),
        (dict(num_classes=8), dict(num_classes=5), 'model.auxiliary_head.num_classes is 5'),
        (dict(num_classes=8), dict(num_classes=19), 'model.auxiliary_head.num_classes is 19'),
        (
            [dict(num_classes=8), dict(num_classes=9)],
            [dict(num_classes=8)],
            'model.decode_head.1.num_classes is 9',
        ),
    ],
)
@pytest.mark.parametrize('wrapped', [False, True])
def test_every_head_has_the_classes_of_the_data_set(decode, auxiliary, place, wrapped):
    dataset = dict(type='ToyScenesDataset', data_root='none')
    if wrapped:
        dataset = dict(type='RepeatDataset', times=2, dataset=dataset)
    with pytest.raises(UserError) as error:
        check_data(config(dataset, decode, auxiliary), ['train_dataloader'], 'sample')
    assert str(error.value).startswith(place)
    assert 'train_dataloader.dataset' in str(error.value)
    assert '(ToyScenesDataset) has 8 classes' in str(error.value)


@pytest.fixture
def binary(tmp_path) -> dict:
    """A data set of one image whose labels are 0 and 1."""
    for folder, shape in (('images', (4, 6, 3)), ('labels', (4, 6))):
        (tmp_path / folder).mkdir()
        pixels = np.zeros(shape, np.uint8)
        pixels[:2] = 1
        Image.fromarray(pixels).save(tmp_path / folder / 'a.png')
    prefix = dict(img_path='images', seg_map_path='labels')
    files = dict(data_root=str(tmp_path), data_prefix=prefix, img_suffix='.png')
    return dict(type='BaseSegDataset', seg_map_suffix='.png', **files)


def test_two_classes_may_share_one_channel(binary):
    cfg = config({**binary, 'metainfo': dict(classes=('no', 'yes'))}, dict(num_classes=1))
    with pytest.raises(UserError, match='num_classes=2 and out_channels=1'):
        check_data(cfg, ['train_dataloader'], 'sample')
    cfg.model.decode_head = dict(num_classes=2, out_channels=1)
    check_data(cfg, ['train_dataloader'], 'sample')


def test_labels_are_checked_against_the_smallest_head(binary):
    heads = dict(num_classes=2), dict(num_classes=1)
    with pytest.raises(UserError, match='holds the value 1, but the head has 1 classes'):
        check_data(config(binary, *heads), ['train_dataloader'], 'sample')
    check_data(config(binary, *heads), ['train_dataloader'], 'off')
    check_data(config(binary, heads[0]), ['train_dataloader'], 'sample')


def test_an_impossible_data_set_setting_is_explained(binary):
    cfg = config({**binary, 'colour': 'red'}, dict(num_classes=2))
    with pytest.raises(UserError, match="unexpected keyword argument 'colour'"):
        check_data(cfg, ['train_dataloader'], 'sample')


def test_only_known_modes_are_taken(binary):
    with pytest.raises(UserError, match='sample, full, off'):
        check_data(config(binary, dict(num_classes=2)), ['train_dataloader'], 'fast')


def test_a_check_that_is_off_says_so(binary):
    report = check_data(config(binary, dict(num_classes=2)), ['train_dataloader'], 'off')
    assert str(report) == 'data: not checked'


def test_every_loader_gets_its_summary(binary):
    cfg = config(binary, dict(num_classes=2))
    cfg.val_dataloader = cfg.train_dataloader
    report = check_data(cfg, ['train_dataloader', 'val_dataloader'], 'sample')
    assert [summary.place for summary in report.summaries] == [
        'train_dataloader.dataset',
        'val_dataloader.dataset',
    ]


def test_a_folder_of_labels_is_needed(binary):
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    prefix = dict(img_path='images')
    for change in (dict(data_prefix=prefix), dict(data_prefix=dict(prefix, seg_map_path=None))):
        cfg = config({**binary, **change, 'pipeline': steps}, dict(num_classes=2))
        with pytest.raises(UserError, match='train_dataloader.dataset names no folder of labels'):
            check_data(cfg, ['train_dataloader'], 'sample')
