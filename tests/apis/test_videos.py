"""Videos are read and written frame by frame, whole or not at all."""

import numpy as np
import pytest

from mmattn.apis.videos import Video, video_file
from mmattn.errors import UserError


def test_a_video_comes_back_with_its_frames_and_its_rate(tmp_path):
    grey = [40, 120, 200]
    with video_file(tmp_path / 'new/clip.mp4', 12.5) as append:
        for value in grey:
            append(np.dstack([np.full((32, 48), value + shift, np.uint8) for shift in (0, 9, 50)]))
        assert not (tmp_path / 'new/clip.mp4').exists()
    video = Video(tmp_path / 'new/clip.mp4')
    assert (video.rate, video.frames) == (12.5, 3)
    for frame, value in zip(video, grey, strict=True):
        assert frame.shape == (32, 48, 3)
        blue, green, red = frame.mean((0, 1)) - value
        assert abs(red) < 6 and abs(green - 9) < 6 and abs(blue - 50) < 6


def test_an_unfinished_video_is_not_left_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), video_file(tmp_path / 'clip.mp4', 25) as append:
        append(np.zeros((32, 48, 3), np.uint8))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_opened_is_told(tmp_path, capfd):
    with pytest.raises(UserError, match='camera 99 cannot be opened'):
        Video(99)
    (tmp_path / 'clip.mp4').write_text('no video')
    with pytest.raises(UserError, match='clip.mp4 cannot be read'):
        Video(tmp_path / 'clip.mp4')
    assert 'OpenCV' not in capfd.readouterr().err
