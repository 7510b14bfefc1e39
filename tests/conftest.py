"""Where the tests find reference vectors and real images."""

import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


def _shared(name: str) -> Path:
    folder = Path(os.environ.get('MMATTN_SHARED', REPO.parent / 'shared')) / name
    if not folder.is_dir():
        pytest.skip(f'{folder} is not there; point MMATTN_SHARED at the folder that holds {name}/')
    return folder


@pytest.fixture(scope='session')
def golden_dir() -> Path:
    """Reference vectors of the mechanisms (MMATTN_GOLDEN names another folder of them)."""
    return Path(os.environ.get('MMATTN_GOLDEN') or REPO / 'tests/data/golden')


@pytest.fixture(scope='session')
def camvid_dir() -> Path:
    """CamVid as images/{train,val}/*.jpg and labels/{train,val}/*.png, void 255."""
    return _shared('camvid')
