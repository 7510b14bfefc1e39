"""A label that is no class is told with its file, in training, validation and test."""

import numpy as np
import pytest
from PIL import Image

from mmattn.apis import test as evaluate
from mmattn.apis import train
from mmattn.cli.arguments import parse_value
from mmattn.datasets import generate_toy_scenes
from mmattn.errors import UserError

from ..e2e.conftest import CONFIG, SMALL

OPTIONS = {key: parse_value(key, text) for key, _, text in (line.partition('=') for line in SMALL)}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The toy set; its folder."""
    generate_toy_scenes(tmp_path / 'data/toy')
    monkeypatch.setenv('MMATTN_DATA', str(tmp_path / 'data'))
    return tmp_path / 'data/toy'


def spoil(data, split: str) -> None:
    """Put a value that is no class into all labels of a split."""
    for label in (data / 'gtFine' / split).rglob('*.png'):
        values = np.array(Image.open(label))
        Image.fromarray(np.where(values == 1, 99, values).astype(np.uint8)).save(label)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_a_bad_label_is_met(tmp_path, data, split):
    options = {**OPTIONS, 'train_cfg.max_iters': 1, 'train_dataloader.batch_size': 1}
    call = dict(check_data='off', cfg_options=options)
    if split == 'val':
        checkpoint = train(CONFIG, work_dir=tmp_path / 'good', **call).checkpoint
    spoil(data, split)
    with pytest.raises(UserError, match=rf'label .*/gtFine/{split}/.*\.png holds 99'):
        train(CONFIG, work_dir=tmp_path / 'run', **call)
    if split == 'val':  # the toy set tests on it
        with pytest.raises(UserError, match='holds the value 99'):
            evaluate(CONFIG, checkpoint, work_dir=tmp_path / 'test', cfg_options=OPTIONS)
        with pytest.raises(UserError, match=r'label .*\.png holds 99'):
            evaluate(
                CONFIG,
                checkpoint,
                work_dir=tmp_path / 'test',
                cfg_options=OPTIONS,
                check_data='off',
            )
