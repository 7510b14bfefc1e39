"""Pictures of attention during training, in a process."""

import numpy as np
import pytest
from PIL import Image

from .conftest import CONFIG

SHORT = ('train_cfg.max_iters=2', 'train_cfg.val_interval=2')


def hook(**arguments) -> str:
    return f'custom_hooks={[dict(type="AttentionHook", **arguments)]}'


def test_a_training_writes_what_its_layers_attend_to(run, tmp_path):
    options = (*SHORT, hook(points=[[20, 100]], layers=['decode_head.pam'], index=1))
    result = run('train.py', CONFIG, '--work-dir', tmp_path / 'run', options=options)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    (picture,) = tmp_path.glob('run/*/vis_data/vis_image/*.png')
    assert picture.name == 'decode_head.pam_pixels_20-100_2.png'
    assert np.asarray(Image.open(picture)).std() > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (dict(points=[[256, 0]]), 'AttentionHook: point 256,0 is outside of'),
        (dict(layers=['decode_head.cca']), "unknown layer 'decode_head.cca'; known are"),
        (dict(index=16), 'there is no image 16: the validation data has 16'),
    ],
)
def test_mistakes_are_told_before_training(run, tmp_path, arguments, words):
    options = (*SHORT, hook(**arguments))
    result = run('train.py', CONFIG, '--work-dir', tmp_path / 'run', options=options)
    assert result.returncode == 2 and words in result.stderr, result.stderr[-2000:]
    assert 'Traceback' not in result.stderr
