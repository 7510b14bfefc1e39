"""The model that the page shows where none is named."""

import shutil

import pytest

from mmattn.apis import TrainResult
from mmattn.datasets import generate_toy_scenes
from mmattn.errors import UserError
from mmattn.web import toy

from .conftest import MISSING, REPO, serving


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    generate_toy_scenes(folder / 'toy')
    return folder


@pytest.fixture
def folder(data, tmp_path, monkeypatch):
    """An empty working folder, beside the toy set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMATTN_DATA', str(data))
    return tmp_path


def test_the_page_and_make_demo_share_one_model():
    makefile = (REPO / 'Makefile').read_text()
    assert f'DEMO_CONFIG ?= {toy.CONFIG}' in makefile
    assert f'DEMO_DIR := {toy.WORK_DIR}' in makefile
    assert (REPO / toy.CONFIG).is_file()


def test_a_trained_model_is_taken_again(folder, trained_model, monkeypatch):
    monkeypatch.setattr(toy, 'train', None)  # would fail
    toy.WORK_DIR.mkdir(parents=True)
    for name in ('iter_300.pth', 'best_mIoU_iter_300.pth'):
        shutil.copy(trained_model[1], toy.WORK_DIR / name)
    with pytest.raises(UserError, match='holds a model of another config'):
        toy.toy_model()
    shutil.copy(REPO / toy.CONFIG, toy.WORK_DIR)
    assert toy.toy_model() == (toy.CONFIG, toy.WORK_DIR / 'best_mIoU_iter_300.pth')
    assert len(toy.toy_examples()) == toy.EXAMPLES


@pytest.mark.parametrize('begun, resume', [(False, None), (True, True)])
def test_a_model_is_trained_where_there_is_none_or_only_half_of_one(
    folder, monkeypatch, begun, resume
):
    asked = {}

    def remember(config, **arguments):
        asked.update(arguments)
        return TrainResult(config, folder, folder / 'best.pth', {}, None)

    monkeypatch.setattr(toy, 'train', remember)
    if begun:
        toy.WORK_DIR.mkdir(parents=True)
        (toy.WORK_DIR / 'last_checkpoint').write_text('iter_100.pth')
    assert toy.toy_model() == (toy.CONFIG, folder / 'best.pth')
    assert asked == dict(work_dir=toy.WORK_DIR, amp=True, resume=resume)


SHORT = """
_base_ = {base!r}
model = dict(
    backbone=dict(base_channels=8, stem_channels=8),
    decode_head=dict(in_channels=64, channels=16),
    auxiliary_head=dict(in_channels=32, channels=8),
)
train_cfg = dict(max_iters=2, val_interval=2)
"""


@pytest.mark.web
@pytest.mark.e2e
def test_the_first_start_trains_and_serves_it(folder):
    pytest.importorskip('gradio', reason=f'gradio {MISSING}')
    (folder / toy.CONFIG).parent.mkdir(parents=True)
    (folder / toy.CONFIG).write_text(SHORT.format(base=str(REPO / toy.CONFIG)))
    with serving('--port', '0', cwd=folder):
        assert list((folder / toy.WORK_DIR).glob('best_mIoU_*.pth'))
