"""What predict() refuses, and what it makes of test-time augmentation."""

import threading

import cv2
import numpy as np
import pytest

from mmattn.apis import predict
from mmattn.apis.outputs import Outputs
from mmattn.apis.videos import Video
from mmattn.errors import UserError


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'noise.png'), pixels)
    return tmp_path / 'noise.png'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(save=['label']), 'save is label: choose of labels, color'),
        (dict(save=[]), 'save is empty'),
        (dict(opacity=50), 'opacity is 50'),
        (dict(save=['logits'], tta=True), 'logits are of one view'),
        (dict(inputs=['nowhere.png']), 'input nowhere.png is neither a file nor a folder'),
        (dict(inputs=['clip.mp4'], save=['panel']), 'panels are of images alone'),
        (dict(out='noise.png/out'), 'the folder of predictions noise.png/out cannot be made'),
        (dict(batch=0), 'batch_size is 0'),
        (dict(label_ids=True), 'its 19 classes, and the model knows 8'),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    trained_model, image, monkeypatch, options, message
):
    monkeypatch.chdir(image.parent)
    (image.parent / 'clip.mp4').touch()
    inputs = options.pop('inputs', [image])
    with pytest.raises(UserError, match=message) as error:
        predict(*trained_model, inputs, **options)
    assert '\n' not in str(error.value)
    assert {path.name for path in image.parent.iterdir()} == {'noise.png', 'clip.mp4'}


def test_inputs_may_lie_where_the_predictions_go(trained_model, image, monkeypatch):
    monkeypatch.chdir(image.parent)
    for given in (f'*{image.suffix}', '.'):
        result = predict(*trained_model, [given], out='.', save=['labels'], overwrite=True)
        assert result.images == 1


def test_videos_that_cannot_be_read_are_named_and_leave_nothing(trained_model, image, monkeypatch):
    monkeypatch.chdir(image.parent)
    (image.parent / 'clip.mp4').write_text('no video')
    result = predict(*trained_model, ['clip.mp4', image], tta=True)
    assert (result.images, result.frames) == (1, 0)
    assert result.unreadable == [
        'video clip.mp4 cannot be read: it is damaged, or no video OpenCV knows'
    ]
    files = sorted(str(path) for path in (image.parent / 'predictions').rglob('*.*'))
    root = image.parent / 'predictions'
    assert files == [f'{root}/labels/noise.png', f'{root}/overlay/noise.jpg']


def test_a_video_that_ends_early_is_predicted_so_far_and_named(trained_model, tmp_path):
    video = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*'MJPG'), 25.0, (64, 48))
    for pixels in np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), dtype=np.uint8):
        writer.write(pixels)
    writer.release()
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    result = predict(*trained_model, [video], out=tmp_path / 'out', device='cpu', optimize=False)
    assert 0 < result.frames < 5
    message = f'clip.avi ends early: {result.frames} of its 6 frames were read and predicted'
    assert [message in told for told in result.unreadable] == [True]
    assert len(list((tmp_path / 'out/labels/clip').iterdir())) == result.frames
    assert (tmp_path / 'out/overlay/clip.mp4').is_file()


def test_frames_of_a_file_are_written_in_order_beside_the_network(
    trained_model, tmp_path, monkeypatch
):
    video = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*'MJPG'), 25.0, (64, 48))
    for pixels in np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3), dtype=np.uint8):
        writer.write(pixels)
    writer.release()
    names, threads = [], []
    write = Outputs.write

    def noted(outputs, prediction, name, kinds):
        names.append(name.name)
        threads.append(threading.current_thread())
        write(outputs, prediction, name, kinds)

    monkeypatch.setattr(Outputs, 'write', noted)
    result = predict(*trained_model, [video], out=tmp_path / 'out', device='cpu', optimize=False)
    assert result.frames == 9 and not result.unreadable
    assert names == [f'{number:06d}' for number in range(9)]
    assert len(set(threads)) == 1 and threads[0] is not threading.main_thread()
    assert not threads[0].is_alive()
    assert len(list(Video(tmp_path / 'out/overlay/clip.mp4'))) == 9


def test_files_are_replaced_when_asked_for(trained_model, image, monkeypatch):
    monkeypatch.chdir(image.parent)
    predict(*trained_model, [image], save=['labels'], device='cpu')
    (file,) = (image.parent / 'predictions').rglob('*.png')
    labels = file.read_bytes()
    file.write_text('older')
    predict(*trained_model, [image], save=['labels'], batch=2, overwrite=True)
    assert file.read_bytes() == labels
