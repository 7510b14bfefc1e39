"""Predictions become files that replace nothing unasked."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.datasets import CityscapesDataset
from PIL import Image

from mmattn.apis import Prediction
from mmattn.apis.inputs import Source
from mmattn.apis.outputs import KINDS, Outputs
from mmattn.cli.predict import KINDS as CHOICES
from mmattn.datasets.cityscapes_ids import cityscapes_ids
from mmattn.errors import UserError

CITYSCAPES = CityscapesDataset.METAINFO


def test_the_command_offers_all_kinds():
    assert set(CHOICES) == set(KINDS)


def test_every_kind_of_file_holds_the_prediction(tmp_path):
    labels = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    image = np.full((2, 3, 3), 90, np.uint8)
    logits = torch.arange(12.0).reshape(2, 2, 3)
    palette = [[255, 0, 0], [0, 255, 0]]
    path = Path('photos/a.jpg')
    prediction = Prediction(labels, ('sky', 'Straße'), palette, image, path, logits)
    outputs = Outputs(tmp_path, tuple(KINDS), opacity=0)
    outputs.write(prediction, Path('b/a'))
    files = {kind: tmp_path / kind / f'b/a{suffix}' for kind, (suffix, _) in KINDS.items()}
    assert set(tmp_path.rglob('*.*')) == set(files.values())
    assert (np.asarray(Image.open(files['labels'])) == labels).all()
    assert (np.asarray(Image.open(files['color'])) == np.array(palette)[labels]).all()
    assert abs(np.asarray(Image.open(files['overlay'])).astype(int) - 90).max() <= 2
    assert Image.open(files['panel']).width > 6
    assert torch.equal(torch.from_numpy(np.load(files['logits'])), logits)
    facts = json.loads(files['json'].read_text())
    assert facts['shares'] == {'sky': 0.5, 'Straße': 0.5}
    assert (facts['image'], facts['width'], facts['height']) == ('photos/a.jpg', 3, 2)


def test_names_of_files_need_not_be_text(tmp_path):
    path = Path(os.fsdecode(b'caf\xe9.png'))
    blank = np.zeros((2, 3), np.uint8)
    prediction = Prediction(blank, ('sky',), [[0, 0, 0]], np.zeros((2, 3, 3), np.uint8), path)
    Outputs(tmp_path, ('json', 'labels')).write(prediction, path.with_suffix(''))
    (file,) = tmp_path.glob('json/*.json')
    assert json.loads(file.read_bytes())['image'] == str(path)


def test_existing_files_are_replaced_only_when_asked_for(tmp_path):
    sources = [Source(Path('x/a.jpg'), Path('a')), Source(Path('x/b.jpg'), Path('b'))]
    outputs = Outputs(tmp_path, ('labels', 'overlay'))
    outputs.check(sources, overwrite=False)
    (tmp_path / 'overlay').mkdir()
    (tmp_path / 'overlay/b.jpg').touch()
    with pytest.raises(UserError, match=f'1 of 4 files exist already, such as {tmp_path}/overlay'):
        outputs.check(sources, overwrite=False)
    outputs.check(sources, overwrite=True)


def test_frames_of_a_video_that_exist_are_not_mixed_with_new_ones(tmp_path):
    sources = [Source(Path('x/clip.mp4'), Path('clip'))]
    (tmp_path / 'labels/clip').mkdir(parents=True)
    with pytest.raises(UserError, match='labels/clip'):
        Outputs(tmp_path, ('labels',)).check(sources, overwrite=False)


def test_an_image_is_not_put_among_the_frames_of_a_video(tmp_path):
    sources = [Source(Path('x/clip.mp4'), Path('clip'))]
    sources += [Source(Path('x/clip/000000.jpg'), Path('clip/000000'))]
    with pytest.raises(UserError, match='x/clip/000000.jpg would lie among .* x/clip.mp4: predict'):
        Outputs(tmp_path, ('overlay', 'labels')).check(sources, overwrite=True)
    Outputs(tmp_path, ('overlay',)).check(sources, overwrite=True)  # a video and an image


def test_frames_of_an_earlier_video_are_removed_and_nothing_else(tmp_path):
    kept = ['labels/clip/notes.png', 'labels/clip/000001.txt', 'labels/b/000001.png']
    for name in [*kept, 'labels/clip/000001.png', 'labels/clip/1000000.png', 'json/clip/0.json']:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    Outputs(tmp_path, ('labels', 'overlay')).remove_frames(Path('clip'))
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob('*.*')}
    assert left == {*kept, 'json/clip/0.json'}


def test_an_input_is_never_replaced(tmp_path):
    (tmp_path / 'labels').mkdir()
    image = tmp_path / 'labels/a.png'
    image.touch()
    with pytest.raises(UserError, match='is an input'):
        Outputs(tmp_path, ('labels',)).check([Source(image, Path('a'))], overwrite=True)


def test_ids_of_cityscapes_are_those_of_its_label_files():
    labels = np.arange(19, dtype=np.uint8)[None]
    image = np.zeros((1, 19, 3), np.uint8)
    classes = CITYSCAPES['classes']
    prediction = Prediction(labels, classes, CITYSCAPES['palette'], image)
    picture = prediction.index_image(cityscapes_ids(classes))
    file = io.BytesIO()
    picture.save(file, 'PNG')
    reopened = Image.open(file)
    ids = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert np.asarray(reopened).tolist() == [ids]
    assert np.asarray(reopened.convert('RGB'))[0].tolist() == CITYSCAPES['palette']
    with pytest.raises(UserError, match='its 19 classes, and the model knows 2: road, sky'):
        cityscapes_ids(['road', 'sky'])
