"""Tuning measures what can run here, and remembers the fastest that predicts as the model does."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mmattn.apis import Segmentor, tune
from mmattn.apis import test as measure
from mmattn.apis.tuning import Candidate, _best
from mmattn.engine import candidates, choices
from mmattn.engine.candidates import CANDIDATES
from mmattn.errors import UserError
from mmattn.preflight.config import load_config
from tests.processes import run_forked
from tests.small_model import with_data


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MMATTN_CACHE', str(tmp_path / 'cache'))


@pytest.fixture(scope='module')
def image(toy_root):
    return sorted(toy_root.rglob('leftImg8bit/val/**/*.png'))[0]


@pytest.fixture(scope='module')
def plain_labels(trained_model, image):
    """Of the model as it was trained."""
    return Segmentor(*trained_model, optimize=False)(image).labels


@pytest.fixture(scope='module')
def tuned(trained_model, image, tmp_path_factory):
    """A cache in which OpenVINO is the choice for the small model, and what its tuning said."""
    for package in ('openvino', 'onnx', 'onnxscript'):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp('tuned')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMATTN_CACHE', str(folder))
        patch.delitem(CANDIDATES, 'compiled')  # which takes long
        tuning = tune(*trained_model, image, seconds=0)
        choices.remember(tuning.conditions, 'openvino', dict(speed_up=1.5))
    return folder, tuning


def test_the_fastest_with_the_labels_of_the_model_is_the_choice():
    def candidate(name, speed_up, equal=1.0):
        return Candidate(name, 10 / speed_up, speed_up, equal, 1.0)

    plain = candidate('optimized', 1.0)
    wrong, slower = candidate('openvino', 3.0, 0.98), candidate('compiled', 1.5)
    assert _best((plain, slower, candidate('openvino', 2.0))).name == 'openvino'
    assert _best((plain, slower, wrong)).name == 'compiled'
    assert _best((plain, candidate('compiled', 1.04), wrong)).name == 'optimized'


def test_a_batch_has_a_choice_of_its_own(trained_model, toy_root, monkeypatch):
    seen = []

    def make(fast, inputs, key):
        return lambda images: seen.append(images) or fast.network(images)

    for name in ('openvino', 'compiled'):
        monkeypatch.delitem(CANDIDATES, name)
    monkeypatch.setitem(CANDIDATES, 'counted', make)
    images = sorted(toy_root.rglob('leftImg8bit/val/**/*.png'))[:2]
    tuning = tune(*trained_model, *images, seconds=0, batch_size=3)
    assert tuning.conditions['inputs'] == [3, 3, 48, 96]
    assert {len(batch) for batch in seen} == {3}
    assert all(each.equal > 0.99 for each in tuning.candidates)
    choices.remember(tuning.conditions, 'counted', dict(speed_up=1.5))
    calls = len(seen)
    Segmentor(*trained_model, batch_size=3)([images[0]] * 3)
    assert len(seen) == calls + 1


def test_what_cannot_run_is_left_out_with_its_reason(trained_model, image, monkeypatch):
    def missing(segmentor, inputs, key):
        raise UserError('this needs openvino, which is not installed')

    def fails(segmentor, inputs, key):
        return lambda images: images.reshape(7)

    monkeypatch.setitem(CANDIDATES, 'openvino', missing)
    monkeypatch.setitem(CANDIDATES, 'compiled', fails)
    tuning = tune(*trained_model, image, seconds=0)
    (only,) = tuning.candidates
    assert (tuning.choice, only.name, only.speed_up) == ('optimized', 'optimized', 1)
    assert only.milliseconds > 0 and only.equal > 0.999
    assert tuning.left_out['openvino'] == 'this needs openvino, which is not installed'
    assert tuning.left_out['compiled'].startswith('RuntimeError: shape ')
    assert tuning.conditions['inputs'] == [1, 3, 48, 96]
    assert json.loads(tuning.file.read_text())['left_out'] == tuning.left_out
    assert [record['config'] for record in choices.remembered()] == ['small']
    choices.forget()
    assert list(choices.remembered()) == [] and not choices.folder().exists()


def test_labels_of_all_images_are_compared(trained_model, toy_root, monkeypatch):
    def wrong_for_the_second(fast, inputs, key):
        calls = []
        return lambda images: (
            fast.network(images) * (-1 if calls.append(1) or len(calls) > 2 else 1)
        )

    images = sorted(toy_root.rglob('leftImg8bit/val/**/*.png'))[:2]
    larger = np.asarray(Image.open(images[0]).resize((192, 192)))
    for name in ('openvino', 'compiled'):
        monkeypatch.delitem(CANDIDATES, name)
    monkeypatch.setitem(CANDIDATES, 'wrong', wrong_for_the_second)
    alone, two, with_larger = (
        {each.name: each.equal for each in tune(*trained_model, *given, seconds=0).candidates}
        for given in (images[:1], images, [images[0], larger])
    )
    assert alone['wrong'] == alone['optimized'] > 0.99
    assert two['wrong'] < 0.9 < 0.99 < two['optimized']
    assert with_larger['wrong'] == with_larger['optimized'] > 0.99


def test_tests_use_the_choice(trained_model, toy_root, tmp_path, monkeypatch):
    calls = []

    def make(segmentor, inputs, key):
        return lambda images: calls.append(1) or segmentor.network(images)

    monkeypatch.setitem(CANDIDATES, 'counted', make)
    config = with_data(trained_model[0], toy_root / 'toy', tmp_path)
    held = choices.conditions(load_config(config).model, torch.zeros(1, 3, 48, 96))
    choices.remember(held, 'counted', dict(speed_up=1.5))
    measure(config, trained_model[1], work_dir=tmp_path / 'log', optimize=True)
    assert len(calls) == 16
    assert '48x96: counted, ' in next(tmp_path.glob('log/*/*.log')).read_text()


def test_openvino_is_remembered_and_used_in_a_new_process(
    tuned, trained_model, image, tmp_path, plain_labels
):
    folder, tuning = tuned
    equal = {each.name: each.equal for each in tuning.candidates}
    assert equal['openvino'] > 0.999
    networks = {file: file.stat().st_ctime for file in folder.glob('tuned/*/network.bin')}
    assert len(networks) == 1
    threads = str(torch.get_num_threads())
    environment = {**os.environ, 'MMATTN_CACHE': str(folder), 'OMP_NUM_THREADS': threads}
    call = ['mmattn', 'predict', *trained_model, image, '--save', 'labels', '--device', 'cpu']
    result = run_forked([*call, '--out', tmp_path / 'out'], environment)
    assert result.returncode == 0, result.stderr
    assert '48x96: openvino, measured to be 1.50 times as fast here' in result.stdout
    assert 'WARNING' not in result.stdout
    labels = np.asarray(Image.open(next(tmp_path.glob('out/labels/*.png'))))
    assert (labels == plain_labels).mean() > 0.999
    assert networks == {file: file.stat().st_ctime for file in folder.glob('tuned/*/network.bin')}


def test_a_network_for_openvino_is_that_of_its_weights(
    tuned, trained_model, image, tmp_path, plain_labels, monkeypatch
):
    folder = tmp_path / 'cache'
    shutil.copytree(tuned[0], folder)
    monkeypatch.setattr(candidates, 'KEPT', 1)
    (first,) = folder.glob('tuned/*/network.xml')
    state = torch.load(trained_model[1])
    state['state_dict']['decode_head.conv_seg.weight'].neg_()
    torch.save(state, tmp_path / 'other.pth')
    expected = Segmentor(trained_model[0], tmp_path / 'other.pth', optimize=False)(image).labels
    segmentor = Segmentor(trained_model[0], tmp_path / 'other.pth')
    for _ in range(5):
        labels = segmentor(image).labels
    assert (labels == expected).mean() > 0.999
    assert (labels == plain_labels).mean() < 0.9
    (second,) = folder.glob('tuned/*/network.xml')
    assert second != first and second.with_suffix('.bin').is_file()  # the last one used is kept
    before = second.stat()
    candidates._write(segmentor._fast, torch.Size((1, 3, 48, 96)), second)  # as a slower process
    assert second.stat() == before and not list(folder.glob('tuned/.*'))


@pytest.mark.parametrize('part', ['network.xml', 'network.bin'])
def test_a_damaged_network_is_written_again(
    part, tuned, trained_model, image, tmp_path, plain_labels, told
):
    shutil.copytree(tuned[0], tmp_path / 'cache')
    (file,) = tmp_path.glob(f'cache/tuned/*/{part}')
    file.write_bytes(file.read_bytes()[:1000])
    assert (Segmentor(*trained_model)(image).labels == plain_labels).mean() > 0.999
    assert file.stat().st_size > 1000 and len(list(file.parent.parent.iterdir())) == 2
    assert [level for level, _ in told] == ['INFO']


def test_where_openvino_is_gone_the_modules_go_on_with_a_warning(
    tuned, trained_model, image, tmp_path, plain_labels, monkeypatch, told
):
    shutil.copytree(tuned[0], tmp_path / 'cache')
    packages = candidates.FORMATS['openvino'].packages
    monkeypatch.setitem(packages, 'no_such_openvino', 'openvino')
    words = 'this needs no_such_openvino, which is not installed: pip install'
    assert (Segmentor(*trained_model)(image).labels == plain_labels).mean() > 0.99
    ((level, warning),) = told
    assert level == 'WARNING'
    assert 'what was measured to be faster here is not used: ' in warning and words in warning


@pytest.mark.slow
def test_a_compiled_network_is_used_and_predicts_as_the_model_does(trained_model, image, told):
    tuning = tune(*trained_model, image, seconds=1)
    held = {each.name: each.equal for each in tuning.candidates}
    assert held['compiled'] > 0.999
    choices.remember(tuning.conditions, 'compiled', dict(speed_up=1.5))
    segmentor = Segmentor(*trained_model)
    expected = Segmentor(*trained_model, optimize=False)(image).labels
    for _ in range(5):
        assert (segmentor(image).labels == expected).mean() > 0.99
    ((level, line),) = told
    assert level == 'INFO' and line.startswith('48x96: compiled, ')


def test_what_cannot_be_tuned_is_told_in_one_line(trained_model, image, tmp_path, monkeypatch):
    with pytest.raises(UserError, match='model.onnx is exported, and runs as it is'):
        tune(trained_model[0], 'model.onnx', image)
    with pytest.raises(UserError, match='image nowhere.png cannot be read'):
        tune(*trained_model, 'nowhere.png')
    with pytest.raises(UserError, match='batch_size is 0: it must be an integer, at least 1'):
        tune(*trained_model, image, batch_size=0)
    (tmp_path / 'file').touch()
    monkeypatch.setenv('MMATTN_CACHE', str(tmp_path / 'file'))
    with pytest.raises(UserError, match='the cache .* cannot be made: .* MMATTN_CACHE'):
        tune(*trained_model, image)
    assert np.unique(Segmentor(*trained_model)(image).labels).size > 1  # predicting needs none
