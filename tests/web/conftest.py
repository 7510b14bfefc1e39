"""The page of `mmattn demo`, served by a process, for clients and for a browser."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mmattn import Segmentor
from mmattn.datasets.toy_scenes import render_scene

from .client import png

REPO = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
MISSING = 'is not installed: `make web` makes an environment that has it'
OPTIONS = ('--port', '0', '--max-megabytes', '2', '--max-megapixels', '1')


def pytest_collection_modifyitems(items):
    for item in items:
        if {'served', 'browser'} & set(item.fixturenames):
            item.add_marker(pytest.mark.web)


def command(*args: object) -> list[str]:
    """The command line of `mmattn demo`."""
    code = 'from mmattn.cli import main; main()'
    return [str(part) for part in (sys.executable, '-c', code, 'demo', *args)]


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(REPO), os.environ.get('PYTHONPATH'))))
    # Without bfloat16, in which a few labels are others: an answer is recognised by all of them.
    return {**os.environ, 'PYTHONPATH': path, 'ONEDNN_MAX_CPU_ISA': 'AVX2'}


@contextmanager
def serving(*args: object, cwd: Path = REPO) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address and process of a page that is up; it has ended when the block ends."""
    process = subprocess.Popen(
        command(*args),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=environment(),
    )
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r'The page is at (\S+)', line):
                break
        else:
            raise AssertionError(''.join(lines))
        yield found[1], process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope='session')
def scenes() -> list[np.ndarray]:
    """Some images, (96, 192, 3), each another one."""
    rng = np.random.default_rng(5)
    return [render_scene(rng, road_first=True)[0][16:112, 32:224].copy() for _ in range(4)]


@pytest.fixture(scope='session')
def scene_file(scenes, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('scene') / 'scene.png'
    path.write_bytes(png(scenes[0]))
    return path


@pytest.fixture(scope='session')
def segmentor(trained_model) -> Segmentor:
    """The first of the models, to say what the page must."""
    return Segmentor(*trained_model, device='cpu', optimize=False)


@pytest.fixture(scope='session')
def two_models(trained_model, tmp_path_factory) -> tuple[Path, Path, Path]:
    """Config, checkpoint, and a second checkpoint whose classifier has its classes in disorder."""
    import torch

    config, checkpoint = trained_model
    weights = torch.load(checkpoint, weights_only=True)
    for name, value in weights['state_dict'].items():
        if name.startswith('decode_head') and 'conv_seg' in name:
            value.copy_(value.roll(1, 0))
    other = tmp_path_factory.mktemp('other') / 'iter_2.pth'
    torch.save(weights, other)
    return config, checkpoint, other


@pytest.fixture(scope='session')
def served(two_models) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address and process of a page that compares two models."""
    pytest.importorskip('gradio', reason=f'gradio {MISSING}')
    config, checkpoint, other = two_models
    with serving(config, checkpoint, '--compare', config, other, *OPTIONS) as started:
        yield started


@pytest.fixture(scope='module')
def browser():
    """A headless Chromium; no other event loop can run in its module."""
    playwright = pytest.importorskip('playwright.sync_api', reason=f'playwright {MISSING}')
    if CHROMIUM is None:
        pytest.skip('there is no chromium; on Debian: apt-get install chromium')
    with playwright.sync_playwright() as started:
        # Containers lack what Chromium's sandbox needs; all it opens is our own page.
        browser = started.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()
