"""Checkpoints load without running code from them, on both distributions."""

import io
import os
import re
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmattn.engine import checkpoints
from mmattn.errors import UserError


@pytest.fixture(scope='module', autouse=True)
def installed():
    checkpoints.install()


def load(path):
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')


@pytest.fixture
def checkpoint(tmp_path):
    """What mmengine puts into a checkpoint, its log and numpy numbers included."""
    hub = MessageHub('safe checkpoints')
    hub.update_scalar('train/loss', 1.5)
    hub.update_scalar('train/loss', 0.5)
    hub.update_info('best_score', np.float64(57.85))
    path = tmp_path / 'iter_2.pth'
    state = OrderedDict(weight=torch.ones(2, 3), bias=torch.zeros(2))
    meta = dict(iter=2, seed=np.int64(3), dataset_meta=dict(palette=np.ones((2, 3), np.uint8)))
    torch.save(dict(state_dict=state, message_hub=hub.state_dict(), meta=meta), path)
    return path


def test_a_checkpoint_with_a_training_log_loads(checkpoint):
    loaded = load(checkpoint)
    loss = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(loss, HistoryBuffer)
    assert loss.current() == 0.5
    assert loss.statistics('mean', 2) == 1.0
    assert loaded['message_hub']['runtime_info']['best_score'] == 57.85
    assert loaded['meta']['dataset_meta']['palette'].dtype == np.uint8


def test_mmengines_load_checkpoint_uses_the_safe_loader(checkpoint):
    model = torch.nn.Linear(3, 2)
    load_checkpoint(model, str(checkpoint), strict=True)
    assert model.weight.eq(1).all()


@pytest.mark.parametrize('core', ['core', '_core'])
def test_a_checkpoint_written_with_another_numpy_loads(checkpoint, core, tmp_path):
    other = tmp_path / 'other.pth'
    with zipfile.ZipFile(checkpoint) as source, zipfile.ZipFile(other, 'w') as target:
        for item in source.infolist():
            data = source.read(item)
            if item.filename.endswith('data.pkl'):
                assert b'core.multiarray' in data
                data = re.sub(rb'numpy\._?core\.', f'numpy.{core}.'.encode(), data)
            target.writestr(item, data)
    assert load(other)['message_hub']['log_scalars']['train/loss'].current() == 0.5


class Harmful:
    """Unpickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('function', [os.system, eval, print])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, function):
    trace, path = tmp_path / 'trace', tmp_path / 'weights.pth'
    code = f'touch {trace}' if function is os.system else f'open({str(trace)!r}, "w")'
    torch.save(dict(state_dict={}, extra=Harmful(function, code)), path)
    with pytest.raises(UserError, match='could run code') as error:
        load(path)
    assert str(path) in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize('owner', [HistoryBuffer, torch.Tensor])
def test_getattr_reaches_nothing_but_the_log(tmp_path, owner):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict={}, extra=Harmful(getattr, owner, '__init__')), path)
    with pytest.raises(UserError, match='getattr'):
        load(path)


def test_a_checkpoint_is_read_from_an_open_file_from_where_it_is(checkpoint):
    """As mmengine reads them from object stores."""
    opened = io.BytesIO(bytes(100) + checkpoint.read_bytes())
    opened.seek(100)
    assert checkpoints.safe_load(opened)['state_dict']['weight'].sum() == 6


@pytest.mark.parametrize('content', [b'', b'remember to train', b'PK\x03\x04', b'\x80\x02}q\x00'])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content):
    path = tmp_path / 'weights.pth'
    path.write_bytes(content)
    with pytest.raises(UserError, match='cannot be read as a PyTorch checkpoint') as error:
        load(path)
    assert str(path) in str(error.value)


def test_a_checkpoint_cut_short_is_named(checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:-500])
    with pytest.raises(UserError, match='damaged or cut short'):
        load(checkpoint)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match='none.pth is not a file'):
        load(tmp_path / 'none.pth')


@pytest.mark.parametrize('content', ['weights', 'code'])
def test_downloads_are_loaded_safely(tmp_path, monkeypatch, content):
    # torch.hub answers from its cache where the file is there: no network needed.
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    cached = tmp_path / 'hub/checkpoints/weights.pth'
    cached.parent.mkdir(parents=True)
    extra = {} if content == 'weights' else {'extra': Harmful(print, 'run')}
    torch.save({'weight': torch.ones(1), **extra}, cached)
    if content == 'weights':
        assert load('http://localhost/weights.pth')['weight'] == 1
    else:
        with pytest.raises(UserError, match='could run code'):
            load('http://localhost/weights.pth')


@pytest.mark.parametrize('content', ['weights', 'code'])
def test_files_of_the_open_mmlab_cache_are_loaded_safely(tmp_path, monkeypatch, content):
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    (tmp_path / 'open_mmlab.json').write_text('{"mine": "mine.pth"}')
    extra = {} if content == 'weights' else {'extra': Harmful(print, 'run')}
    torch.save({'weight': torch.ones(1), **extra}, tmp_path / 'mine.pth')
    if content == 'weights':
        assert load('open-mmlab://mine')['weight'] == 1
    else:
        with pytest.raises(UserError, match='could run code'):
            load('open-mmlab://mine')


@pytest.mark.parametrize(
    ('code', 'status'),
    [
        ('import mmattn.engine', 1),
        (
            'import runpy; sys.argv = ["prepare_data.py", "toy", "--root", "none"]\n'
            'runpy.run_path("tools/prepare_data.py", run_name="__main__")',
            2,
        ),
        (
            'import runpy; sys.argv = ["train.py", "c.py", "--cfg-options", "a=1"]\n'
            'runpy.run_path("tools/train.py", run_name="__main__")',
            2,
        ),
    ],
    ids=['import', 'prepare_data.py', '--cfg-options'],
)
def test_missing_packages_are_named_with_the_command_to_type(code, status):
    code = f'import sys; sys.path.insert(0, "."); sys.modules["mmseg"] = None\n{code}'
    repo = Path(__file__).resolve().parents[2]
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=repo)
    assert result.returncode == status
    assert ('Traceback' in result.stderr) is (status == 1)
    last = result.stderr.strip().splitlines()[-1]
    assert 'mmattn needs mmseg' in last
    assert 'pip install -e ".[onedl]"' in last
