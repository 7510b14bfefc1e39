"""The command of docs/evaluation.md, as printed."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

from mmattn.datasets import generate_toy_scenes
from tests.processes import run_forked

REPO = Path(__file__).resolve().parents[2]
(COMMAND,) = re.findall(r'```bash\n(.*?)\n```', (REPO / 'docs/evaluation.md').read_text(), re.S)


@pytest.mark.e2e
@pytest.mark.slow
def test_command_writes_the_files_of_the_guide(tmp_path):
    program, *arguments = shlex.split(COMMAND)
    assert program == 'mmattn'
    _, config, checkpoint, *_ = arguments
    (file,) = REPO.glob(config)
    register_all_modules(init_default_scope=True)
    cfg = Config.fromfile(file)
    cfg.model.pretrained = None
    model = MODELS.build(cfg.model)
    (tmp_path / checkpoint).parent.mkdir(parents=True)
    torch.save({'state_dict': model.state_dict()}, tmp_path / checkpoint)
    generate_toy_scenes(tmp_path / 'data/toy')
    env = {**os.environ, 'MMATTN_DATA': str(tmp_path / 'data')}
    result = run_forked(['mmattn', *arguments], env, tmp_path)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert 'mBoundaryIoU' in result.stdout
    (folder,) = tmp_path.glob(f'work_dirs/{Path(config).stem}/test/*/evaluation.json')
    written = {path.name for path in folder.parent.glob('evaluation*')}
    assert written == set(
        re.findall(r'`(evaluation\S*)`', (REPO / 'docs/evaluation.md').read_text())
    )
    report = json.loads(folder.read_text())
    assert report['images'] == 16 and report['intervals']['resamples'] == 1000
