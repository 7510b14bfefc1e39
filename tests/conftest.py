"""Where the tests find reference vectors and real images."""

import logging
import os
from pathlib import Path

import pytest

from tests.offline import forbid_network

forbid_network()

REPO = Path(__file__).resolve().parents[1]
_CAMVID = Path(os.environ.get('MMATTN_SHARED') or REPO.parent / 'shared') / 'camvid'


@pytest.fixture(scope='session', autouse=True)
def cache(tmp_path_factory) -> None:
    """What was measured on this machine for its user has no part in tests."""
    os.environ['MMATTN_CACHE'] = str(tmp_path_factory.mktemp('cache'))


@pytest.fixture(scope='session')
def golden_dir() -> Path:
    """Reference vectors of the mechanisms (MMATTN_GOLDEN names another folder of them)."""
    return Path(os.environ.get('MMATTN_GOLDEN') or REPO / 'tests/data/golden')


@pytest.fixture(scope='session')
def scenes_dir(tmp_path_factory) -> Path:
    """Made street scenes in the layout and size of CamVid, for tests that need some pictures."""
    from tests.scenes import write_scenes  # loads mmseg, which most tests do without

    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root)
    return root


@pytest.fixture(scope='session')
def toy_root(tmp_path_factory) -> Path:
    """A folder of data sets (MMATTN_DATA) that holds the toy set; not to be written to."""
    from mmattn.datasets import generate_toy_scenes

    root = tmp_path_factory.mktemp('toy_root')
    generate_toy_scenes(root / 'toy')
    return root


@pytest.fixture(scope='session')
def trained_model(tmp_path_factory) -> tuple[Path, Path]:
    """Config and checkpoint of a small model for the toy set."""
    from tests.small_model import write_small_model

    return write_small_model(tmp_path_factory.mktemp('model'))


@pytest.fixture
def told():
    """What is logged in a test, from INFO on: level and text of each line."""
    from mmengine.logging import MMLogger

    lines: list[tuple[str, str]] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append((record.levelname, record.getMessage()))
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


@pytest.fixture(scope='session')
def street_dir(request) -> Path:
    """CamVid where it is, else made scenes in its layout."""
    name = 'camvid_dir' if _CAMVID.is_dir() else 'scenes_dir'
    return request.getfixturevalue(name)


@pytest.fixture(scope='session')
def camvid_dir() -> Path:
    """CamVid as images/{train,val}/*.jpg and labels/{train,val}/*.png, void 255.

    Only for what is said of CamVid itself; where any picture serves, take ``scenes_dir``.
    """
    if not _CAMVID.is_dir():
        pytest.skip(
            f'CamVid is not at {_CAMVID}; its terms keep it out of the repository '
            '(MMATTN_SHARED names the folder that holds camvid/)'
        )
    return _CAMVID
