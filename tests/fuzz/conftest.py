"""Generated input, the same in every run: some in the fast tests, more in the slow ones."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPO = Path(__file__).resolve().parents[2]
_CACHES = {'.git', '__pycache__', '.pytest_cache', '.ruff_cache', '.hypothesis', 'work_dirs'}

settings.register_profile(
    'mmattn',
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def profile():
    """No other test sees these settings of hypothesis."""
    before = settings.default
    settings.load_profile('mmattn')
    yield
    settings.register_profile('before', parent=before)
    settings.load_profile('before')


@pytest.fixture(autouse=True)
def untouched(tmp_path, monkeypatch):
    """Generated input changes no file outside the folder that a test works in."""
    outside, inside = tmp_path / 'outside', tmp_path / 'inside'
    for folder in (outside / 'best_mIoU', inside):
        folder.mkdir(parents=True)
    for name in ('best_mIoU/iter_1.pth', 'last_checkpoint', 'iter_2.pth', 'a.png'):
        (outside / name).write_bytes(b'not yours')
    monkeypatch.chdir(inside)
    before = _files(outside), _files(REPO)
    yield inside
    assert (_files(outside), _files(REPO)) == before


def _files(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file below a folder."""
    found = {}
    for at, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _CACHES and '.venv' not in name]
        for name in names:
            state = os.stat(os.path.join(at, name), follow_symlinks=False)
            found[os.path.join(at, name)] = state.st_size, state.st_mtime_ns
    return found


def amount(few: int, many: int):
    """A number of cases for the fast tests, and one for the slow ones."""
    return pytest.mark.parametrize(
        'cases', [few, pytest.param(many, marks=pytest.mark.slow)], ids=['few', 'many']
    )
