"""`analyze` on predictions whose errors are known, and on curves that are known."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mmattn.apis import analyze
from mmattn.engine.saved_predictions import TestedImages
from mmattn.errors import UserError
from mmattn.preflight.config import load_config

CONFIG = 'configs/danet/danet_r18-d8_1xb4-300it_toy-128x256.py'
WATER, ROAD = 3, 2


@pytest.fixture(autouse=True)
def data(toy_root, monkeypatch):
    monkeypatch.setenv('MMATTN_DATA', str(toy_root))
    return toy_root


@pytest.fixture(scope='module')
def predictions(toy_root, tmp_path_factory):
    """All is right, but that the first image has road for water."""
    folder = tmp_path_factory.mktemp('drowned')
    for number, path in enumerate(
        sorted((toy_root / 'toy/gtFine/val').rglob('*labelTrainIds.png'))
    ):
        labels = np.array(Image.open(path))
        labels[labels == 255] = 0
        if number == 0:
            labels[labels == WATER] = ROAD
        name = path.name.replace('gtFine_labelTrainIds', 'leftImg8bit')
        Image.fromarray(labels).save(folder / name)
    (folder / 'metrics.json').write_text(json.dumps({'metrics': {}, 'config': CONFIG}))
    return folder


@pytest.fixture
def work_dir(tmp_path):
    """A run that was resumed at iteration 20."""
    folder = tmp_path / 'resumed'
    for start, lines in [
        ('1', [{'loss': 3, 'step': 10}, {'loss': 9, 'step': 20}, {'mIoU': 50, 'step': 20}]),
        ('2', [{'loss': 1, 'step': 20}, {'mIoU': 70.123456, 'step': 20}]),
    ]:
        (folder / start / 'vis_data').mkdir(parents=True)
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        (folder / start / 'vis_data/scalars.json').write_text(text)
    return folder


def rows(path) -> list[list[str]]:
    with path.open(newline='') as file:
        return list(csv.reader(file))


@pytest.fixture
def analysis(predictions, work_dir, tmp_path):
    page = analyze([work_dir, predictions], out=tmp_path / 'out', images=2)
    return page, page.parent / predictions.name


def test_scores_and_confusion_are_those_of_the_errors(analysis, data):
    page, folder = analysis
    report = json.loads((page.parent / 'analysis.json').read_text())['predictions'][folder.name]
    classes = {row['class']: row for row in report['classes']}
    labels = [
        np.array(Image.open(path)) for path in sorted((data / 'toy/gtFine/val').rglob('*.png'))
    ]
    lost, all_water = (labels[0] == WATER).sum(), sum((each == WATER).sum() for each in labels)
    assert lost > 0
    expected = 100 * (1 - lost / all_water)
    assert classes['water']['Recall'] == pytest.approx(expected, abs=1e-3)
    assert classes['water']['IoU'] == classes['water']['Recall']
    assert classes['sky']['IoU'] == classes['boat']['IoU'] == 100
    assert json.loads((folder / 'evaluation.json').read_text()).items() >= report.items()
    confusion = rows(folder / 'evaluation_confusion.csv')
    assert confusion[1 + WATER][1 + ROAD] == str(lost)
    text = page.read_text()
    assert f'road ({100 * lost / all_water:.1f} %)' in text


@pytest.mark.parametrize(
    ('evaluator', 'expected'),
    [
        (dict(type='SegmentationMetric'), 255),
        (dict(type='SegmentationMetric', ignore_index=WATER), WATER),
        ([dict(type='CityscapesMetric'), dict(type='IoUMetric', ignore_index=WATER)], WATER),
        (None, 255),
    ],
)
def test_labels_are_ignored_that_the_metric_ignores(evaluator, expected):
    cfg = load_config(CONFIG)
    cfg.test_evaluator = evaluator
    assert TestedImages(cfg).ignore_index == expected


def test_errors_are_counted_by_size_and_by_distance(analysis, data):
    _, folder = analysis
    label = np.array(Image.open(min((data / 'toy/gtFine/val').rglob('*.png'))))
    lost = (label == WATER).sum()
    sizes = rows(folder / 'sizes.csv')
    assert sum(int(row[4]) - int(row[5]) for row in sizes[1:]) == lost
    assert {row[0] for row in sizes[1:] if row[4] != row[5]} == {'water'}
    assert sum(int(row[2]) for row in rows(folder / 'distances.csv')[1:]) == lost


def test_the_worst_image_comes_first_and_all_pictures_are_in_the_page(analysis):
    page, folder = analysis
    text = page.read_text()
    worst = text.index('toyville_000000_000000_leftImg8bit.png: mIoU on this image')
    assert text.index('The worst images') < worst < text.index('The best images')
    assert 'the least IoU is that of water, 0.0' in text
    pictures = {path.name for path in folder.glob('*.png')}
    assert pictures == {
        'confusion.png',
        'sizes.png',
        *(f'{kind}{i}.png' for kind in ('best', 'worst') for i in (1, 2)),
    }
    assert text.count('data:image/png;base64,') == len(pictures) + 2 and 'src="http' not in text
    panel = Image.open(folder / 'worst1.png')
    assert panel.width > 4 * 256 and np.asarray(panel).std() > 30


def test_curves_of_a_resumed_run_have_each_iteration_once(analysis):
    page, _ = analysis
    assert rows(page.parent / 'curves.csv') == [
        ['run', 'iteration', 'loss', 'mIoU'],
        ['resumed', '10', '3.0', ''],
        ['resumed', '20', '1.0', '70.123456'],
    ]
    numbers = json.loads((page.parent / 'analysis.json').read_text())['runs']['resumed']
    assert numbers['best_miou'] == 70.1235 and numbers['best_iteration'] == 20
    assert Image.open(page.parent / 'curves.png').width > 400


def test_folders_of_one_name_are_told_apart(work_dir, tmp_path):
    other = tmp_path / 'other/resumed'
    shutil.copytree(work_dir, other)
    page = analyze([work_dir, other], out=tmp_path / 'out')
    names = {row[0] for row in rows(page.parent / 'curves.csv')[1:]}
    assert names == {f'{tmp_path.name}-resumed', 'other-resumed'}


def test_what_cannot_be_analyzed_is_told(predictions, work_dir, data, tmp_path):
    bare = tmp_path / 'bare'
    shutil.copytree(predictions, bare)
    (bare / 'metrics.json').unlink()
    incomplete = tmp_path / 'incomplete'
    shutil.copytree(predictions, incomplete)
    min(incomplete.glob('*.png')).unlink()
    small = tmp_path / 'small'
    shutil.copytree(predictions, small)
    Image.new('L', (8, 8)).save(min(small.glob('*.png')))
    wrong = tmp_path / 'wrong'
    shutil.copytree(predictions, wrong)
    Image.new('L', (256, 128), 9).save(min(wrong.glob('*.png')))
    for paths, message in [
        ([tmp_path], 'is neither the work dir of a training'),
        ([tmp_path / 'none'], 'is no folder'),
        ([work_dir, work_dir], 'a folder is named twice'),
        ([bare], 'does not say which config it is of.*give the config with --config'),
        ([incomplete], 'the prediction of .*000000_000000_leftImg8bit.png cannot be read'),
        ([small], 'the prediction is 8x8 and the label 128x256'),
        ([wrong], 'prediction 9 .* is no class'),
    ]:
        with pytest.raises(UserError, match=message):
            analyze(paths, out=tmp_path / 'out')
    with pytest.raises(UserError, match='lies in the test data'):
        analyze([predictions], out=data / 'toy/leftImg8bit/val')
    page = analyze([bare], config=CONFIG, out=tmp_path / 'out', images=0)
    assert 'The worst' not in page.read_text()
