"""A folder in which the commands of a guide run as printed."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from mmseg.registry import MODELS

from mmattn.datasets import generate_toy_scenes
from mmattn.preflight.config import load_config
from mmattn.preflight.pretrained import drop_pretrained

REPO = Path(__file__).resolve().parents[1]


def write_demo(folder: Path, config: str) -> None:
    """As after `make demo`, but for a training; and `mmattn` as a command."""
    cfg = load_config(config)
    drop_pretrained(cfg)
    (folder / 'work_dirs/demo').mkdir(parents=True)
    weights = MODELS.build(cfg.model).state_dict()
    torch.save({'state_dict': weights}, folder / 'work_dirs/demo/iter_300.pth')
    generate_toy_scenes(folder / 'data/toy')
    script = folder / 'bin/mmattn'
    script.parent.mkdir()
    script.write_text(f'#!{sys.executable}\nfrom mmattn.cli import main\nmain()\n')
    script.chmod(0o755)


def run(folder: Path, call: list[str]) -> str:
    """Run a command to its end, which must be a good one: what it printed."""
    path = f'{folder}/bin:{os.environ["PATH"]}'
    env = {**os.environ, 'PATH': path, 'PYTHONPATH': str(REPO)}
    result = subprocess.run(
        call, capture_output=True, text=True, cwd=folder, timeout=600, env=env, check=False
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout
