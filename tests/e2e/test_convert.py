"""`mmattn convert` as a process, and what `mmattn test` makes of its file."""

import re
import shlex

import pytest
import torch

from mmattn.apis import convert
from mmattn.errors import UserError
from tests.apis.original_layouts import (
    OriginalResNet,
    below,
    ccnet_head,
    merged,
    side_output,
)

CONFIG = 'configs/ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py'


@pytest.fixture(scope='module')
def original(tmp_path_factory):
    """CCNet in the layout of its authors, for eight classes; its convolutions stay small."""
    torch.manual_seed(0)
    state = merged(OriginalResNet('flat').state_dict(), below('head.', ccnet_head()), side_output())
    for key, value in state.items():
        if key.endswith('running_var'):
            value.fill_(20)
        if value.shape[:1] == (5,):
            state[key] = torch.cat([value, value[:3]])
    file = tmp_path_factory.mktemp('original') / 'ccnet.pth'
    torch.save(state, file)
    return file


def test_a_converted_checkpoint_is_evaluated(mmattn, original, tmp_path):
    out = tmp_path / 'converted.pth'
    with pytest.raises(UserError, match='They need --cfg-options') as refusal:
        convert('ccnet', original, out, config=CONFIG)
    options = shlex.split(str(refusal.value).partition('--cfg-options ')[2])
    fit = ('--config', CONFIG, '--cfg-options', *options)
    done = mmattn('convert', '--from', 'ccnet', original, out, *fit)
    assert done.returncode == 0, done.stderr
    assert f'{CONFIG} has a model of these weights' in done.stdout
    assert 'mapped: 361 entries\nmissing: none\n' in done.stdout
    loaders = [
        f'{name}_dataloader.{key}'
        for name in ('train', 'val', 'test')
        for key in ('num_workers=0', 'persistent_workers=False')
    ]
    done = mmattn('test', CONFIG, out, '--work-dir', tmp_path, '--cfg-options', *options, *loaders)
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r'mIoU \d+\.\d\d', done.stdout)
