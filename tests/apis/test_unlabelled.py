"""A config made to test on images without labels."""

import pytest
from mmengine.config import Config, ConfigDict
from mmseg.registry import METRICS, TRANSFORMS

from mmattn.apis.unlabelled import drop_labels
from mmattn.errors import UserError

STEPS = ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')
AUGMENTED = dict(
    type='TestTimeAug',
    transforms=[
        [dict(type='Resize', scale_factor=factor, keep_ratio=True) for factor in (0.5, 1.0)],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')],
    ],
)


def dataset(kind='BaseSegDataset', **changes):
    prefix = dict(img_path='images', **changes)
    return dict(type=kind, data_prefix=prefix, pipeline=[dict(type=step) for step in STEPS])


def config(*datasets, evaluator=None):
    (data, *more) = datasets
    data = dict(type='ConcatDataset', datasets=[data, *more]) if more else data
    return Config(
        dict(
            test_dataloader=dict(dataset=data),
            test_evaluator=evaluator or dict(type='IoUMetric'),
            tta_pipeline=[dict(type='LoadImageFromFile'), AUGMENTED],
        )
    )


@pytest.mark.parametrize(
    'data',
    [
        dataset(seg_map_path=None),
        dataset(),
        dataset('CityscapesDataset'),
        dataset('CamVidDataset', seg_map_path=None),
    ],
)
def test_neither_steps_nor_metrics_need_labels_then(data):
    cfg = config(data)
    assert drop_labels(cfg)
    left = cfg.test_dataloader.dataset
    assert 'seg_map_path' not in left.data_prefix
    assert [step.type for step in left.pipeline] == ['LoadImageFromFile', 'PackSegInputs']
    assert cfg.test_evaluator == []
    assert [[step.type for step in steps] for steps in cfg.tta_pipeline[1].transforms] == [
        ['Resize', 'Resize'],
        ['PackSegInputs'],
    ]
    for step in cfg.tta_pipeline:
        TRANSFORMS.build(step)


def test_metrics_that_need_no_labels_stay():
    evaluator = [
        dict(type='IoUMetric', format_only=True, output_dir='out'),
        dict(type='IoUMetric'),
        dict(type='DumpResults', out_file_path='results.pkl'),
    ]
    cfg = config(dataset(), evaluator=evaluator)
    drop_labels(cfg)
    assert cfg.test_evaluator == [evaluator[0], evaluator[2]]
    assert METRICS.get('DumpResults')


@pytest.mark.parametrize(
    'data',
    [
        dataset(seg_map_path='labels'),
        dict(type='BaseSegDataset', data_root='images and labels'),
        dataset('SomeDatasetOfTheUser'),
    ],
)
def test_other_configs_stay_as_they_are(data):
    cfg = config(data)
    before = ConfigDict(cfg.to_dict())
    assert not drop_labels(cfg)
    assert ConfigDict(cfg.to_dict()) == before


def test_labels_for_some_images_are_refused():
    with pytest.raises(UserError, match='some data sets of test_dataloader have labels'):
        drop_labels(config(dataset(), dataset(seg_map_path='labels')))
