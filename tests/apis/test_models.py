"""A checkpoint becomes a model that knows its classes, or one line says why not."""

import pytest
import torch
from mmseg.registry import DATASETS

from mmattn.apis import load_model
from mmattn.apis.models import dataset_meta
from mmattn.datasets import ToyScenesDataset
from mmattn.errors import UserError
from mmattn.preflight.config import load_config

TOY = ToyScenesDataset.METAINFO


@pytest.fixture
def cfg(trained_model):
    return load_config(trained_model[0])


def test_the_model_has_the_weights_and_evaluates(trained_model):
    model = load_model(*trained_model)
    assert not any(module.training for module in model.modules())
    assert model.cfg.model.backbone.init_cfg is None  # nothing pretrained was fetched
    assert model.dataset_meta['classes'] == tuple(TOY['classes'])
    saved = torch.load(trained_model[1], weights_only=True)['state_dict']
    weights = model.state_dict()
    assert saved.keys() == weights.keys()
    assert all(torch.equal(weights[key], saved[key]) for key in saved)
    with torch.no_grad():
        logits = model.encode_decode(torch.zeros(1, 3, 64, 64), [{'img_shape': (64, 64)}])
    assert logits.shape == (1, 8, 64, 64) and logits.isfinite().all()


def test_classes_come_from_the_data_set_of_the_config_where_the_checkpoint_has_none(cfg):
    meta = dataset_meta(cfg)
    assert meta['classes'] == tuple(TOY['classes'])
    assert meta['palette'] == TOY['palette']
    assert meta['reduce_zero_label'] is False


def test_the_checkpoint_knows_its_classes_best(cfg):
    names = [f'thing {i}' for i in range(8)]
    colours = [[i, 0, 0] for i in range(8)]
    meta = dict(classes=names, palette=colours, reduce_zero_label=True)
    assert dataset_meta(cfg, {'dataset_meta': meta}) == {**meta, 'classes': tuple(names)}
    older = dataset_meta(cfg, {'CLASSES': names, 'PALETTE': colours})
    assert (older['classes'], older['palette']) == (tuple(names), colours)


@pytest.mark.parametrize(
    ('kind', 'options', 'zero_is_void'),
    [
        ('PascalVOCDataset', dict(ann_file='none.txt'), False),
        ('PascalVOCDataset', dict(ann_file='none.txt', reduce_zero_label=True), True),
        ('PascalContextDataset59', dict(ann_file='none.txt'), True),
        ('STAREDataset', {}, False),
    ],
)
def test_classes_are_known_of_data_sets_that_want_their_files(cfg, kind, options, zero_is_void):
    names = tuple(DATASETS.get(kind).METAINFO['classes'])
    for given in (None, dict(classes=names[:2])):
        cfg.test_dataloader.dataset = dict(type=kind, data_root='nowhere', **options)
        cfg.test_dataloader.dataset.metainfo = given
        expected = given['classes'] if given else names
        cfg.model.decode_head.num_classes = len(expected)
        meta = dataset_meta(cfg)
        assert (meta['classes'], meta['reduce_zero_label']) == (expected, zero_is_void)
        assert len(meta['palette']) >= len(expected)


def test_names_that_are_not_of_this_head_are_not_taken(cfg):
    meta = {'dataset_meta': {'classes': ['a', 'b'], 'palette': [[0, 0, 0], [1, 1, 1]]}}
    assert dataset_meta(cfg, meta)['classes'] == tuple(TOY['classes'])


def test_classes_without_names_are_called_by_their_numbers(cfg):
    cfg.test_dataloader = None
    meta = dataset_meta(cfg)
    assert meta['classes'] == tuple('01234567')
    assert len({tuple(colour) for colour in meta['palette']}) == 8


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'config': 'configs/danet/danet_r19.py'}, 'config configs/danet/danet_r19.py not found'),
        ({'config': 'configs/_base_/schedules/schedule_20k.py'}, 'has no model'),
        ({'checkpoint': 'nowhere.pth'}, 'checkpoint nowhere.pth is not a file'),
        ({'checkpoint': 'http://127.0.0.1:9/none.pth'}, 'cannot be read'),
        ({'device': 'gpu'}, 'device gpu cannot be used'),
        ({'device': 'cuda:99'}, 'device cuda:99 cannot be used'),
        (
            {'cfg_options': {'model.test_cfg': {'mode': 'slide'}}},
            'model.test_cfg.crop_size is None',
        ),
        ({'cfg_options': {'model.decode_head.num_classes': 5}}, 'a model with 8 classes, not 5'),
    ],
)
def test_mistakes_are_told_in_one_line(trained_model, change, message):
    config, checkpoint = trained_model
    given = {'config': config, 'checkpoint': checkpoint, **change}
    with pytest.raises(UserError, match=message) as error:
        load_model(given.pop('config'), given.pop('checkpoint'), **given)
    assert '\n' not in str(error.value)


def test_weights_that_are_no_numbers_are_refused(trained_model, tmp_path):
    weights = torch.load(trained_model[1], weights_only=True)['state_dict']
    weights['decode_head.conv_seg.weight'][0] = torch.nan
    torch.save({'state_dict': weights}, tmp_path / 'nan.pth')
    with pytest.raises(UserError, match='holds NaN'):
        load_model(trained_model[0], tmp_path / 'nan.pth')
