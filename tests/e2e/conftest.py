"""The tools as processes, on the toy set, with a model small enough for seconds."""

import os
import sys
from pathlib import Path

import pytest

from mmattn.datasets.toy import generate_toy_scenes
from tests.processes import run_forked

REPO = Path(__file__).resolve().parents[2]
(CONFIG,) = REPO.glob('configs/danet/danet_r18-d8_*_toy-128x256.py')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
SMALL = (
    'model.backbone.base_channels=8',
    'model.backbone.stem_channels=8',
    'model.decode_head.in_channels=64',
    'model.decode_head.channels=16',
    'model.auxiliary_head.in_channels=32',
    'model.auxiliary_head.channels=8',
    *(f'{loader}.num_workers=0' for loader in LOADERS),
    *(f'{loader}.persistent_workers=False' for loader in LOADERS),
    'train_dataloader.batch_size=2',
    'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.interval=2',
    'default_hooks.checkpoint.max_keep_ckpts=2',
    'train_cfg.val_interval=2',
)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope='session')
def environment(tmp_path_factory) -> dict[str, str]:
    """Environment of the tools: the toy set as their only data."""
    data = tmp_path_factory.mktemp('data')
    generate_toy_scenes(data / 'toy')
    path = os.pathsep.join(filter(None, (str(REPO), os.environ.get('PYTHONPATH'))))
    return {**os.environ, 'MMATTN_DATA': str(data), 'PYTHONPATH': path}


@pytest.fixture(scope='session')
def command():
    """The command line of a tool with the small model."""

    def build(tool: str | Path, *args: str | Path, options: tuple[str, ...] = ()) -> list[str]:
        call = [sys.executable, REPO / 'tools' / tool, *args, '--cfg-options', *SMALL, *options]
        return [str(part) for part in call]

    return build


@pytest.fixture(scope='session')
def run_tool(environment):
    """Run a tool, with no other arguments than these, to its end."""

    def run_tool(tool: str | Path, *args: str | Path, **kwargs: str):
        return run_forked([REPO / 'tools' / tool, *args], {**environment, **kwargs})

    return run_tool


@pytest.fixture(scope='session')
def mmattn(environment):
    """Run the console command, with no other arguments than these, to its end."""

    def mmattn(*args: object, **kwargs: str):
        return run_forked(['mmattn', *args], {**environment, **kwargs})

    return mmattn


@pytest.fixture(scope='session')
def run(run_tool, command):
    """Run a tool with the small model to its end."""

    def run(tool: str | Path, *args: str | Path, options: tuple[str, ...] = (), **kwargs):
        return run_tool(*command(tool, *args, options=options)[1:], **kwargs)

    return run


@pytest.fixture(scope='session')
def trained(run, tmp_path_factory):
    """A finished run of four iterations: what the process printed, and its work dir."""
    work_dir = tmp_path_factory.mktemp('trained')
    options = ('train_cfg.max_iters=4',)
    result = run('train.py', CONFIG, '--work-dir', work_dir, '--seed', '1', options=options)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result, work_dir
