"""`mmattn convert` as a process, and what `mmattn test` makes of its file."""

import re
import shlex
import subprocess
import sys

import pytest
import torch

from tests.apis.original_layouts import (
    OriginalResNet,
    below,
    ccnet_head,
    merged,
    side_output,
)

CONFIG = 'configs/ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py'


@pytest.fixture(scope='module')
def mmattn(environment):
    def mmattn(*arguments):
        call = [sys.executable, '-c', 'from mmattn.cli import main; main()', *map(str, arguments)]
        result = subprocess.run(
            call, capture_output=True, text=True, env=environment, timeout=600, check=False
        )
        return result.returncode, result.stdout, result.stderr

    return mmattn


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
    code, printed, errors = mmattn('convert', '--from', 'ccnet', original, out, '--config', CONFIG)
    assert code == 2 and not out.exists()
    assert errors.count('\n') == 1
    options = shlex.split(re.search(r'They need --cfg-options (.*)', errors)[1])
    fit = ('--config', CONFIG, '--cfg-options', *options)
    code, printed, errors = mmattn('convert', '--from', 'ccnet', original, out, *fit)
    assert code == 0, errors
    assert f'{CONFIG} has a model of these weights' in printed
    assert 'mapped: 361 entries\nmissing: none\n' in printed
    loaders = [
        f'{name}_dataloader.{key}'
        for name in ('train', 'val', 'test')
        for key in ('num_workers=0', 'persistent_workers=False')
    ]
    code, printed, errors = mmattn(
        'test', CONFIG, out, '--work-dir', tmp_path, '--cfg-options', *options, *loaders
    )
    assert code == 0, errors[-2000:]
    assert re.search(r'mIoU \d+\.\d\d', printed)


def test_mistakes_end_in_one_line(mmattn, original, tmp_path):
    (tmp_path / 'none.pth').write_text('no weights')
    for arguments, message in (
        (('danet', original, tmp_path / 'out.pth'), 'it looks like --from ccnet'),
        (('danet', tmp_path / 'none.pth', tmp_path / 'out.pth'), 'cannot be read as a PyTorch'),
    ):
        code, printed, errors = mmattn('convert', '--from', *arguments)
        assert code == 2
        assert message in errors and errors.count('\n') == 1
