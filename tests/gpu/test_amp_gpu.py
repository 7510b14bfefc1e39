"""Mixed precision on a GPU, through the tools."""

import re

import pytest
import torch
from mmengine.config import Config

from mmattn.engine.checkpoints import safe_load
from mmattn.preflight.checkpoint import latest_checkpoint

from ..e2e.conftest import CONFIG

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device'),
]


def test_a_model_trained_with_amp_is_tested_with_amp(run, tmp_path):
    options = ('train_cfg.max_iters=4',)
    result = run('train.py', CONFIG, '--work-dir', tmp_path, '--amp', options=options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert Config.fromfile(tmp_path / CONFIG.name).optim_wrapper.type == 'AmpOptimWrapper'
    checkpoint = latest_checkpoint(tmp_path)
    assert safe_load(checkpoint)['optimizer']['loss_scaler']
    miou = re.search(r'mIoU +last (\S+),', result.stdout)[1]

    result = run('test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'test', '--amp')
    assert result.returncode == 0, result.stderr[-2000:]
    tested = re.search(r'mIoU (\S+)', result.stdout.splitlines()[-1].replace(',', ''))[1]
    assert float(tested) == pytest.approx(float(miou), abs=1)
