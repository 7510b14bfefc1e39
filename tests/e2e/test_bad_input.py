"""Whatever can be known to be wrong is told in one line, with exit code 2, before a run starts."""

import shutil

import numpy as np
import pytest
from PIL import Image

from .conftest import CONFIG


@pytest.mark.parametrize(
    ('arguments', 'options', 'message'),
    [
        pytest.param(
            ('configs/danet/danet_r18_toy.py',), (), 'danet_r18-d8_1xb4', id='config not found'
        ),
        pytest.param(
            (CONFIG,),
            ('model.decode_head.type=DANtHead',),
            "unknown type 'DANtHead' at model.decode_head.type; did you mean DANetHead",
            id='unknown head',
        ),
        pytest.param(
            (CONFIG,),
            ('train_cfg.max_iter=10',),
            "unexpected keyword argument 'max_iter'",
            id='misspelt setting',
        ),
        pytest.param(
            (CONFIG,),
            ('model.pretrained=http://127.0.0.1:9/weights.pth',),
            '--cfg-options model.pretrained=None',
            id='weights that cannot be fetched',
        ),
        pytest.param(
            (CONFIG,),
            ('model.decode_head.in_channels=48',),
            'takes 48 channels and gets 64; the config has model.decode_head.in_channels=48, '
            'model.auxiliary_head.in_channels=32',
            id='head that does not fit the backbone',
        ),
        pytest.param((CONFIG, '--resume'), (), 'nothing to resume', id='nothing to resume'),
    ],
)
def test_bad_arguments(run, tmp_path, arguments, options, message):
    result = run('train.py', *arguments, '--work-dir', tmp_path / 'new', options=options)
    assert_refused(result, message)


def test_missing_data(run, tmp_path):
    result = run('train.py', CONFIG, '--work-dir', tmp_path / 'new', MMATTN_DATA=str(tmp_path))
    assert_refused(result, str(tmp_path / 'toy'))


def test_a_label_beyond_the_classes(run, environment, tmp_path):
    shutil.copytree(environment['MMATTN_DATA'], tmp_path / 'data')
    label = sorted((tmp_path / 'data/toy/gtFine/train').rglob('*.png'))[0]
    values = np.array(Image.open(label))
    values[5, 7] = 11
    Image.fromarray(values).save(label)
    call = ('train.py', CONFIG, '--check-data', 'full', '--work-dir', tmp_path / 'new')
    result = run(*call, MMATTN_DATA=str(tmp_path / 'data'))
    assert_refused(result, label.name)
    assert '11' in result.stderr


def test_labels_of_one_class_and_void(run, environment, tmp_path):
    shutil.copytree(environment['MMATTN_DATA'], tmp_path / 'data')
    for label in (tmp_path / 'data/toy/gtFine').rglob('*.png'):
        mask = np.asarray(Image.open(label)) > 3
        Image.fromarray(255 * mask.astype(np.uint8)).save(label)
    call = ('train.py', CONFIG, '--work-dir', tmp_path / 'new')
    result = run(*call, MMATTN_DATA=str(tmp_path / 'data'))
    assert_refused(result, 'a class that is stored as 255 must be stored as 1')


def assert_refused(result, message: str) -> None:
    assert result.returncode == 2, result.stdout[-2000:] + result.stderr[-2000:]
    errors = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    assert message in errors[0]
    assert 'Traceback' not in result.stderr
    assert 'Iter(train)' not in result.stdout
