"""`mmattn predict` as a process."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmattn.apis.videos import Video, video_file
from tests.processes import run_forked

from .conftest import REPO


@pytest.fixture(scope='module')
def predict(environment, trained_model):
    """Run the command to its end on a small model."""

    def predict(*args, given: str = ''):
        return run_forked(['mmattn', 'predict', *trained_model, *args], environment, input=given)

    return predict


@pytest.fixture(scope='module')
def photos(environment, tmp_path_factory):
    """A folder as people have them: a turned photo, capitals, a broken file, a video, notes."""
    toy = sorted((REPO / environment['MMATTN_DATA']).rglob('leftImg8bit/val/**/*.png'))
    folder = tmp_path_factory.mktemp('photos')
    (folder / 'town').mkdir()
    picture = Image.open(toy[0])
    exif = picture.getexif()
    exif[0x0112] = 6  # shown after a quarter turn
    picture.save(folder / 'turned.jpg', exif=exif)
    Image.open(toy[1]).save(folder / 'town/GREY.PNG')
    (folder / 'town/cut.jpg').write_bytes((folder / 'turned.jpg').read_bytes()[:100])
    (folder / 'town/notes.txt').write_text('remember the milk')
    with video_file(folder / 'clip.mp4', 12.5) as append:
        for path in toy[2:5]:
            append(np.asarray(Image.open(path)))
    return folder


@pytest.fixture(scope='module')
def predicted(predict, photos, tmp_path_factory):
    """The result of a run on a folder and on a video named on stdin, and its folder."""
    out = tmp_path_factory.mktemp('out')
    kinds = ('labels', 'color', 'overlay', 'logits', 'json')
    given = f'{photos}/clip.mp4\n'
    return predict(photos, '-', '--out', out, '--save', *kinds, given=given), out


def test_a_folder_and_a_video_are_predicted_and_what_cannot_be_read_is_told(predicted, photos):
    result, out = predicted
    assert result.returncode == 1, result.stderr[-2000:]  # for the broken file
    kinds = 'labels, color, overlay, logits, json'
    assert result.stdout.splitlines()[-1] == (f'2 images and 3 frames predicted ({kinds} in {out})')
    assert result.stderr.splitlines()[-2:] == [
        '1 could not be read whole:',
        f'  image {photos}/town/cut.jpg cannot be read: it is damaged, or no image of a kind that '
        'is known',
    ]
    assert 'Traceback' not in result.stderr and 'Warning' not in result.stderr
    files = {str(path.relative_to(out)) for path in out.rglob('*') if path.is_file()}
    suffixes = dict(labels='png', color='png', overlay='jpg', logits='npy', json='json')
    names = ('turned', 'town/GREY', 'clip/000000', 'clip/000001', 'clip/000002')
    expected = {f'{kind}/{name}.{suffixes[kind]}' for kind in suffixes for name in names}
    videos = {'color/clip.mp4', 'overlay/clip.mp4'}
    frames = {name for name in expected if name.startswith(('color/clip', 'overlay/clip'))}
    assert files == expected - frames | videos


def test_all_kinds_of_files_agree(predicted, photos):
    _, out = predicted
    labels = np.asarray(Image.open(out / 'labels/turned.png'))
    assert labels.shape == (256, 128)  # the photo as viewers show it
    assert (np.load(out / 'logits/turned.npy').argmax(0) == labels).all()
    palette = np.array(Image.open(out / 'labels/turned.png').getpalette()).reshape(-1, 3)
    assert (np.asarray(Image.open(out / 'color/turned.png')) == palette[labels]).all()
    facts = json.loads((out / 'json/turned.json').read_text())
    assert facts['image'] == str(photos / 'turned.jpg')
    assert (facts['width'], facts['height']) == (128, 256)
    assert sum(facts['shares'].values()) == pytest.approx(1, abs=1e-4)
    overlay = np.asarray(Image.open(out / 'overlay/turned.jpg')).astype(float)
    image = cv2.imread(str(photos / 'turned.jpg'))[..., ::-1]
    assert abs(overlay - (image + palette[labels]) / 2).mean() < 4


def test_a_video_has_its_rate_and_its_frames(predicted):
    _, out = predicted
    video = Video(out / 'color/clip.mp4')
    assert video.rate == 12.5
    labels = [Image.open(out / f'labels/clip/{i:06d}.png').convert('RGB') for i in range(3)]
    for frame, expected in zip(video, labels, strict=True):
        assert abs(frame[..., ::-1] - np.asarray(expected).astype(float)).mean() < 12


def test_earlier_predictions_are_replaced_only_when_asked_for(predict, predicted, photos):
    _, out = predicted
    before = (out / 'labels/turned.png').stat().st_mtime_ns
    result = predict(photos / 'turned.jpg', '--out', out, '--save', 'labels')
    assert result.returncode == 2
    assert result.stderr == (
        f'error: 1 of 1 files exist already, such as {out}/labels/turned.png: --overwrite replaces '
        'them, --out names another folder\n'
    )
    assert (out / 'labels/turned.png').stat().st_mtime_ns == before
