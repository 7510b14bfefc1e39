"""tools/test.py as a process."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from mmattn.preflight.checkpoint import latest_checkpoint

from .conftest import CONFIG


def test_evaluation_repeats_the_validation_and_writes_what_was_asked_for(trained, run, tmp_path):
    training, work_dir = trained
    out, pictures = tmp_path / 'out', tmp_path / 'pictures'
    result = run(
        *('test.py', CONFIG, latest_checkpoint(work_dir), '--work-dir', tmp_path / 'work'),
        *('--out', out, '--show-dir', pictures),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    report = json.loads((out / 'metrics.json').read_text())
    last = re.search(r'mIoU +last (\S+),', training.stdout)[1]
    assert f'{report["metrics"]["mIoU"]:.2f}' == last
    assert f'mIoU {last}' in result.stdout.splitlines()[-1]
    assert str(out) in result.stdout.splitlines()[-1]
    table = re.findall(r'\| +(\S+) +\| +(\d+\.\d+|nan) +\|', result.stdout)  # of the classes
    ious = {name: None if iou == 'nan' else float(iou) for name, iou in table}
    assert report['class_iou'] == ious and len(ious) == 8
    assert 'test_dataloader.dataset (ToyScenesDataset): 16 images with labels' in result.stdout

    predictions = sorted(out.glob('*.png'))
    assert len(predictions) == 16
    assert all(file.stem.endswith('_leftImg8bit') for file in predictions)
    labels = np.asarray(Image.open(predictions[0]))
    assert labels.shape == (128, 256) and labels.dtype == np.uint8 and labels.max() < 8
    assert {file.name for file in pictures.glob('*.png')} == {file.name for file in predictions}


def test_images_without_labels_are_predicted_and_not_measured(trained, run, tmp_path):
    out, pictures = tmp_path / 'out', tmp_path / 'pictures'
    checkpoint = latest_checkpoint(trained[1])
    call = ('test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'work')
    options = ('test_dataloader.dataset.data_prefix.seg_map_path=None',)
    result = run(*call, '--out', out, '--show-dir', pictures, options=options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert '16 images without labels' in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last == f'no metric, as the images have no labels (files in {out} and {pictures})'
    assert 'mIoU:' not in result.stdout and 'WARNING' not in result.stdout
    assert len(list(out.glob('*.png'))) == len(list(pictures.glob('*.png'))) == 16
    assert json.loads((out / 'metrics.json').read_text())['metrics'] == {}

    result = run(*call, options=options)
    assert result.returncode == 2
    assert 'error: the test images have no labels, so there is nothing to measure' in result.stderr


def test_test_time_augmentation_with_amp_on_the_cpu(trained, run, tmp_path):
    _, work_dir = trained
    checkpoint = latest_checkpoint(work_dir)
    call = ('test.py', CONFIG, checkpoint, '--tta', '--amp', '--work-dir', tmp_path)
    result = run(*call, CUDA_VISIBLE_DEVICES='')
    assert result.returncode == 0, result.stderr[-2000:]
    assert re.search(r'mIoU \d', result.stdout.splitlines()[-1])


def test_the_optimized_model_measures_the_same(trained, run, tmp_path):
    training, work_dir = trained
    call = ('test.py', CONFIG, latest_checkpoint(work_dir), '--optimize', '--work-dir', tmp_path)
    result = run(*call, CUDA_VISIBLE_DEVICES='')
    assert result.returncode == 0, result.stderr[-2000:]
    last = float(re.search(r'mIoU +last (\S+),', training.stdout)[1])
    measured = float(re.search(r'mIoU (\S+),', result.stdout.splitlines()[-1])[1])
    assert measured == pytest.approx(last, abs=0.1)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(
            ('model.decode_head.num_classes=5', 'model.auxiliary_head.num_classes=5'),
            r'a model with 8 classes, not 5.*conv_seg\.weight',
            id='other classes',
        ),
        pytest.param(
            ('model.decode_head.type=FCNHead',),
            r"a setting of the config is wrong.*'pam_channels'",
            id='argument of another head',
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ('model.backbone.depth=34',),
            r'another backbone.*Missing: backbone\.layer\d',
            id='other depth',
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(trained, run, tmp_path, options, message):
    checkpoint = latest_checkpoint(trained[1])
    result = run('test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'new', options=options)
    assert result.returncode == 2
    assert re.search(f'^error: .*{message}', result.stderr, re.MULTILINE), result.stderr
    assert 'Traceback' not in result.stderr
    assert not (tmp_path / 'new').exists()  # no time spent, nothing left behind


def test_a_file_that_is_no_checkpoint_is_refused(run, tmp_path):
    file = tmp_path / 'notes.pth'
    file.write_text('remember to train')
    result = run('test.py', CONFIG, file)
    assert result.returncode == 2
    assert f'error: checkpoint {file} cannot be read' in result.stderr
