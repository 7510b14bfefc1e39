"""SegmentationMetric against mmseg's IoUMetric, and what it has beyond it."""

import csv
import json
import os
import re

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.fileio import load
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from PIL import Image

from mmattn.datasets import CamVidDataset
from mmattn.errors import UserError
from mmattn.evaluation import SegmentationMetric
from mmattn.evaluation.class_values import keep_class_values

ALL = ['mIoU', 'mDice', 'mFscore']


def sample(prediction, label, **paths):
    prediction, label = (torch.as_tensor(np.asarray(x)) for x in (prediction, label))
    return dict(
        pred_sem_seg=dict(data=prediction[None]), gt_sem_seg=dict(data=label[None]), **paths
    )


def random_samples(num_classes, count=5, size=(37, 53), void=255, classes_used=None, seed=0):
    """Blocks of classes, predictions three quarters right, a tenth of the pixels void."""
    generator = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        blocks = generator.integers(classes_used or num_classes, size=(size[0], size[1] // 8 + 1))
        label = blocks.repeat(8, axis=1)[:, : size[1]]
        other = generator.integers(classes_used or num_classes, size=size)
        prediction = np.where(generator.random(size) < 0.75, label, other)
        label = np.where(generator.random(size) < 0.1, void, label)
        samples.append(sample(prediction, label))
    return samples


def evaluate(metric, samples, classes):
    """Metrics, values of each class, and what was logged."""
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dict(classes=classes)
    values = keep_class_values(evaluator)
    for one in samples:
        evaluator.process([one])
    return evaluator.evaluate(len(samples)), values


def names(count):
    return tuple(f'class {i}' for i in range(count))


@pytest.fixture
def log(tmp_path):
    """The file into which a run of the name logs, for each name."""
    before = MMLogger._instance_dict.copy()

    def start(name):
        file = tmp_path / name / 'run.log'
        file.parent.mkdir()
        MMLogger.get_instance(f'{tmp_path.name}-{name}', log_file=str(file))
        return file

    yield start
    MMLogger._instance_dict.clear()
    MMLogger._instance_dict.update(before)


def assert_equal_to_mmseg(samples, classes, log, **options):
    theirs_log = log('mmseg')
    theirs, their_values = evaluate(IoUMetric(**options), samples, classes)
    ours_log = log('ours')
    ours, our_values = evaluate(SegmentationMetric(**options), samples, classes)
    assert list(ours) == list(theirs)
    assert our_values.keys() == their_values.keys()
    for name, value in theirs.items():
        assert type(ours[name]) is type(value)
        np.testing.assert_array_equal(ours[name], value)
    for name, value in their_values.items():
        assert our_values[name].dtype == value.dtype
        np.testing.assert_array_equal(our_values[name], value)
    tables = [re.findall(r'^[+|].*$', file.read_text(), re.M) for file in (theirs_log, ours_log)]
    assert tables[0] == tables[1]
    assert len(tables[0]) == len(classes) + 4


@pytest.mark.parametrize('num_classes', [2, 11, 19, 150])
def test_values_metrics_and_table_are_mmsegs_to_the_last_digit(num_classes, log):
    samples = random_samples(num_classes)
    assert_equal_to_mmseg(samples, names(num_classes), log, iou_metrics=ALL)


@pytest.mark.parametrize(
    'options',
    [
        dict(iou_metrics='mDice', nan_to_num=0),
        dict(iou_metrics=['mFscore'], beta=2),
        dict(nan_to_num=-1, prefix='val'),
    ],
)
def test_options_mean_what_they_mean_for_mmseg_with_absent_classes(options, log):
    samples = random_samples(11, classes_used=6)
    assert_equal_to_mmseg(samples, names(11), log, **options)


@pytest.mark.parametrize('void', [-1, 3, 11, 254, 255, 256, 65535, -(2**40)])
def test_ignore_index_may_be_any_number(void, log):
    samples = random_samples(11, void=void)
    assert_equal_to_mmseg(samples, names(11), log, ignore_index=void)


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32, torch.float32])
def test_dtype_of_the_prediction_does_not_matter(dtype, log):
    """mmseg's binary models predict in float32."""
    samples = random_samples(2)
    for one in samples:
        one['pred_sem_seg']['data'] = one['pred_sem_seg']['data'].to(dtype)
    assert_equal_to_mmseg(samples, names(2), log, iou_metrics=ALL)


def test_ignored_pixels_alone_give_mmsegs_nan(log):
    samples = [sample([[0, 1]], [[255, 255]])]
    assert_equal_to_mmseg(samples, names(2), log)


def test_predictions_of_ignored_pixels_may_be_anything(log):
    samples = [sample([[0, 1, 300]], [[0, 1, 255]]), sample([[0, 1, -7]], [[1, 1, 255]])]
    assert_equal_to_mmseg(samples, names(2), log)


def test_camvid_against_labels_of_other_frames_is_scored_as_by_mmseg(camvid_dir, log):
    """Real maps as predictions: the frame before predicts this one, its void as the class 3."""
    files = sorted((camvid_dir / 'labels/val').glob('*.png'))
    labels = [np.array(Image.open(file)) for file in files]
    samples = [
        sample(np.where(before == 255, 3, before).astype(np.int64), label.astype(np.int64))
        for before, label in zip(labels, labels[1:], strict=False)
    ]
    classes = CamVidDataset.METAINFO['classes']
    assert_equal_to_mmseg(samples, classes, log, iou_metrics=ALL)


def test_labels_with_zero_reduced_are_scored_and_written_as_by_mmseg(tmp_path, log):
    """ADE20K: 0 is void in the files, 1 the first class; mmseg writes predictions back so."""
    samples = []
    for index, one in enumerate(random_samples(150, count=2)):
        in_file = one['gt_sem_seg']['data'].numpy().astype(np.uint8) + 1  # void: 255 + 1 = 0
        in_file[in_file == 0] = 255
        one['gt_sem_seg']['data'] = torch.from_numpy((in_file - 1).astype(np.int64))
        one['gt_sem_seg']['data'][one['gt_sem_seg']['data'] == 254] = 255
        samples.append({**one, 'img_path': f'{index}.jpg', 'reduce_zero_label': True})
    assert_equal_to_mmseg(samples, names(150), log)
    for metric in (IoUMetric, SegmentationMetric):
        out = tmp_path / metric.__name__
        evaluate(metric(output_dir=str(out), format_only=True), samples, names(150))
    written = [sorted((tmp_path / m).glob('*.png')) for m in ('IoUMetric', 'SegmentationMetric')]
    assert len(written[0]) == 2
    for theirs, ours in zip(*written, strict=True):
        assert theirs.read_bytes() == ours.read_bytes()


def test_many_pixels_are_counted_exactly():
    """Beyond 2**24 pixels of a class float32 sums, as mmseg's, do not see a single one."""
    right, wrong = 2**24, 1000
    results = [torch.tensor([[right]] * 4), *[torch.tensor([[0], [1], [1], [0]])] * wrong]
    ious = []
    source = (('one.png', None), False)
    ours, theirs = (SegmentationMetric(), torch.int64, (source,)), (IoUMetric(), torch.float32, ())
    for metric, dtype, more in (ours, theirs):
        kept = keep_class_values(Evaluator(metric))
        metric.dataset_meta = dict(classes=('all',))
        metric.compute_metrics([(*areas.to(dtype), *more) for areas in results])
        ious.append(kept['IoU'].item())
    assert ious == [np.float32(right / (right + wrong)), 1]


@pytest.mark.parametrize(
    ('prediction', 'label', 'message'),
    [
        ([[0, 2], [0, 0]], [[0, 1], [0, 0]], 'prediction 2 (pixels: 1) is no class: the 2 classes'),
        ([[0, -1], [0, 0]], [[0, 1], [0, 0]], 'prediction -1 (pixels: 1)'),
        ([[9, 300], [0, 0]], [[0, 1], [0, 0]], 'prediction 9, 300 (pixels: 2)'),
        ([[0, 1], [0, 0]], [[2, 2], [0, 0]], 'label 2 (pixels: 2)'),
        ([[0, 1], [0, 0]], [[255, 1000], [0, 0]], 'label 1000 (pixels: 1)'),
        ([[0, 1], [0, 0]], [[-1, 255], [0, 0]], 'label -1 (pixels: 1)'),
        ([[0, 1], [0, 0]], [[0, 1, 1], [0, 0, 0]], 'the prediction is 2x2 and the label 2x3'),
    ],
)
def test_what_is_no_class_is_an_error_that_names_the_file(prediction, label, message):
    metric = SegmentationMetric()
    metric.dataset_meta = dict(classes=names(2))
    bad = sample(prediction, label, img_path='a/b.jpg', seg_map_path='a/b.png')
    with pytest.raises(UserError, match=re.escape(f'a/b.jpg, a/b.png: {message}')):
        metric.process({}, [bad])


def test_misspelt_arguments_and_senseless_values_are_refused():
    with pytest.raises(TypeError, match='bootstraps'):
        METRICS.build(dict(type='SegmentationMetric', bootstraps=10))
    with pytest.raises(UserError, match='boundary_ratio is 2'):
        SegmentationMetric(boundary_ratio=2)
    with pytest.raises(UserError, match='bootstrap is -1'):
        SegmentationMetric(bootstrap=-1)


def test_report_holds_what_was_asked_for(log):
    folder = log('run').parent
    samples, classes = random_samples(4, count=8, classes_used=3), names(4)
    options = dict(confusion=True, boundary_ratio=0.02, bootstrap=200)
    metrics, values = evaluate(SegmentationMetric(iou_metrics=ALL, **options), samples, classes)

    report = load(folder / 'evaluation.json')
    labels, predictions = (
        torch.cat([one[key]['data'].flatten() for one in samples]).numpy()
        for key in ('gt_sem_seg', 'pred_sem_seg')
    )
    confusion = np.zeros((4, 4), int)
    for label, prediction in zip(labels, predictions, strict=True):
        if label != 255:
            confusion[label, prediction] += 1
    assert report['confusion'] == confusion.tolist()
    assert report['images'] == 8 and report['boundary_ratio'] == 0.02
    for name in ('mIoU', 'mPrecision', 'mRecall', 'mDice', 'aAcc', 'mBoundaryIoU'):
        assert metrics[name] == pytest.approx(report['overall'][name], abs=0.006)
        assert report['overall'][f'{name}_low'] < report['overall'][name]
        assert report['overall'][f'{name}_high'] > report['overall'][name]
    for i, row in enumerate(report['classes'][:3]):
        assert row['IoU'] == pytest.approx(100 * values['IoU'][i], abs=1e-3)
        assert row['Dice'] == pytest.approx(100 * values['Dice'][i], abs=1e-3)
        assert row['IoU_low'] <= row['IoU'] <= row['IoU_high']
    assert set(report['classes'][3].values()) == {'class 3', None}  # never labelled or predicted

    with open(folder / 'evaluation_classes.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['class'] for row in rows] == list(classes)
    assert float(rows[1]['IoU']) == report['classes'][1]['IoU']
    assert rows[3]['IoU'] == ''
    with open(folder / 'evaluation_confusion.csv', newline='') as file:
        header, *counts = csv.reader(file)
    assert header == ['label \\ prediction', *classes]
    assert [[int(cell) for cell in row[1:]] for row in counts] == confusion.tolist()
    assert '95 % confidence interval over 8 images' in (folder / 'run.log').read_text()


def test_report_is_not_written_unless_asked_for_and_goes_where_asked(tmp_path, log):
    samples, folder = random_samples(3), log('run').parent
    evaluate(SegmentationMetric(), samples, names(3))
    assert os.listdir(folder) == ['run.log']
    asked = SegmentationMetric(report=str(tmp_path / 'mine'), prefix='val')
    evaluate(asked, samples, names(3))
    files = sorted(os.listdir(tmp_path / 'mine'))
    assert files == ['val_evaluation.json', 'val_evaluation_classes.csv']
    assert os.listdir(folder) == ['run.log']
    report = json.loads((tmp_path / 'mine/val_evaluation.json').read_text())
    assert set(report['classes'][0]) == {'class', 'IoU', 'Precision', 'Recall', 'Dice'}


def test_areas_of_each_image_add_up_to_the_scores(tmp_path):
    samples = [
        {**one, 'img_path': f'{i}.png'} for i, one in enumerate(random_samples(4, classes_used=3))
    ]
    metric = SegmentationMetric(images=True, confusion=True, report=str(tmp_path))
    metrics, _ = evaluate(metric, samples, names(4))
    with (tmp_path / 'evaluation_images.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert {row['image'] for row in rows} == {f'{i}.png' for i in range(5)}
    assert {row['class'] for row in rows} == set(names(3))  # one is nowhere
    iou = []
    for name in names(3):
        areas = [(int(r['intersection']), int(r['union'])) for r in rows if r['class'] == name]
        intersection, union = map(sum, zip(*areas, strict=True))
        iou.append(100 * intersection / union)
    assert metrics['mIoU'] == pytest.approx(np.mean(iou), abs=0.006)
    assert metrics == evaluate(SegmentationMetric(), samples, names(4))[0]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(bootstrap=10.5), r'bootstrap is 10\.5: give an integer, 0 or more'),
        (dict(bootstrap=True), 'bootstrap is True'),
        (dict(bootstrap='100'), "bootstrap is '100'"),
        (dict(bootstrap=10, seed=-1), 'seed is -1'),
        (dict(bootstrap=10, seed=False), 'seed is False'),
        (dict(report=1), 'report is 1: give True, False or a folder'),
        (dict(report=__file__), f'folder of the report .* cannot be made: {__file__} is a file'),
        (dict(report=f'{__file__}/below'), 'is a file; name another by report'),
    ],
)
def test_options_that_would_fail_after_the_last_image_are_refused_at_once(options, message):
    with pytest.raises(UserError, match=message) as error:
        SegmentationMetric(**options)
    assert '\n' not in str(error.value)


def test_results_of_an_image_keep_no_more_than_they_hold():
    """Processes send them to each other; a view would take its whole histogram along."""
    metric = SegmentationMetric(confusion=True, boundary_ratio=0.02)
    metric.dataset_meta = dict(classes=names(150))
    metric.process({}, random_samples(150, count=1, classes_used=12))
    bytes_held = sum(counts.untyped_storage().nbytes() for counts in metric.results[0][:-1])
    assert bytes_held <= 6 * 150 * 8 + 12 * 12 * 8


def evaluate_share(rank, samples, folder):
    """The images of a process of two, as mmengine's sampler deals them; returns the metrics."""
    store = f'file://{folder}/store'
    torch.distributed.init_process_group('gloo', store, rank=rank, world_size=2)
    metric = SegmentationMetric(report=str(folder), confusion=True, boundary_ratio=0.02)
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dict(classes=names(4))
    for index in DefaultSampler(samples, shuffle=False):
        evaluator.process([samples[index]])
    result = {key: float(value) for key, value in evaluator.evaluate(len(samples)).items()}
    (folder / f'{rank}.json').write_text(json.dumps(result))
    torch.distributed.destroy_process_group()


def test_two_processes_report_of_five_images_what_one_does(tmp_path):
    samples = random_samples(4)
    alone = SegmentationMetric(report=str(tmp_path / 'alone'), confusion=True, boundary_ratio=0.02)
    metrics, _ = evaluate(alone, samples, names(4))
    torch.multiprocessing.spawn(evaluate_share, (samples, tmp_path), nprocs=2)
    for rank in (0, 1):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == metrics
    reports = [load(folder / 'evaluation.json') for folder in (tmp_path, tmp_path / 'alone')]
    assert reports[0] == reports[1]


def test_images_that_a_sampler_repeats_count_once():
    """Samplers repeat images to fill the last batch of several processes, or a clip."""
    samples = random_samples(4, count=3)
    for index, one in enumerate(samples):
        one['img_path'] = f'{index}.png'
    expected, _ = evaluate(SegmentationMetric(), samples, names(4))
    void = {
        **samples[1],
        'gt_sem_seg': {'data': torch.full_like(samples[1]['gt_sem_seg']['data'], 255)},
    }
    with_clip = [samples[0], {**void, 'repeated': True}, *samples[1:], samples[0]]
    evaluator = Evaluator(SegmentationMetric())
    evaluator.dataset_meta = dict(classes=names(4))
    for one in with_clip:
        evaluator.process([one])
    assert evaluator.evaluate(len(samples)) == expected


def test_an_image_with_two_labels_counts_twice_in_several_processes():
    samples = random_samples(4, count=2)
    for index, one in enumerate(samples):
        one |= dict(img_path='one.png', seg_map_path=f'{index}.png')
    expected, _ = evaluate(SegmentationMetric(), samples, names(4))
    evaluator = Evaluator(SegmentationMetric())
    evaluator.dataset_meta = dict(classes=names(4))
    for one in [*samples, samples[0]]:  # as a sampler fills the last batch
        evaluator.process([one])
    assert evaluator.evaluate(len(samples)) == expected
