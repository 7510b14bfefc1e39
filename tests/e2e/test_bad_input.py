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
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (CONFIG,),
            ('model.pretrained=http://127.0.0.1:9/weights.pth',),
            '--cfg-options model.pretrained=None',
            id='weights that cannot be fetched',
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (CONFIG,),
            ('model.decode_head.in_channels=48',),
            'model.decode_head.in_channels is 48 for map 3, which has 64 channels',
            id='head that does not fit the backbone',
            marks=pytest.mark.slow,
        ),
        pytest.param((CONFIG, '--resume'), (), 'nothing to resume', id='nothing to resume'),
    ],
)
def test_bad_arguments(run, tmp_path, arguments, options, message):
    result = run('train.py', *arguments, '--work-dir', tmp_path / 'new', options=options)
    assert_refused(result, message)


def test_missing_data_is_told_before_weights_are_fetched(run, tmp_path):
    call = ('train.py', CONFIG, '--work-dir', tmp_path / 'new')
    options = ('model.pretrained=http://127.0.0.1:9/weights.pth',)
    result = run(*call, options=options, MMATTN_DATA=str(tmp_path))
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


@pytest.mark.parametrize(
    ('body', 'error'),
    [
        pytest.param(
            'self.scale = self.no_such_attribute', 'AttributeError', marks=pytest.mark.slow
        ),
        ('self.conv = torch.nn.Conv2d(in_channels + 1, 4, 1)', 'RuntimeError'),
    ],
)
def test_a_bug_in_a_plugin_of_the_user_shows_where_it_is(run, environment, tmp_path, body, error):
    (tmp_path / 'my_plugin.py').write_text(PLUGIN.format(body=body))
    (tmp_path / 'mine.py').write_text(
        f"_base_ = '{CONFIG}'\n"
        "custom_imports = dict(imports=[*_base_.custom_imports.imports, 'my_plugin'])\n"
        "plugins = [dict(cfg=dict(type='MyPlugin'), position='after_conv2')]\n"
        "model = dict(backbone=dict(type='AttnResNetV1c', plugins=plugins))\n"
    )
    path = f'{environment["PYTHONPATH"]}:{tmp_path}'
    result = run('train.py', tmp_path / 'mine.py', '--work-dir', tmp_path / 'new', PYTHONPATH=path)
    assert result.returncode == 1
    assert 'Traceback' in result.stderr and 'my_plugin.py' in result.stderr
    assert error in result.stderr
    assert 'in_channels=' not in result.stderr.splitlines()[-1]
    assert 'error: ' not in [line[:7] for line in result.stderr.splitlines()]


PLUGIN = """
import torch
from mmseg.registry import MODELS


@MODELS.register_module()
class MyPlugin(torch.nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        {body}

    def forward(self, x):
        return x + self.conv(x)
"""


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
