"""Videos and cameras, read and written frame by frame."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from cv2.utils import logging

from mmattn.errors import UserError
from mmattn.files import replacing

COUNTED = {'.avi', '.m4v', '.mov', '.mp4'}  # files that hold their number of frames
RATE = 25.0  # frames a second, of sources that do not say theirs


class Video:
    """A video file or a camera: its frames, (H, W, 3) uint8 in the order blue, green, red.

    Args:
        place: The file, or the number of the camera.

    Raises:
        UserError: It cannot be opened.
    """

    def __init__(self, place: Path | int) -> None:
        self.place = place
        with _quiet():
            self._capture = cv2.VideoCapture(place if isinstance(place, int) else str(place))
        if not self._capture.isOpened():
            raise UserError(
                f'camera {place} cannot be opened: is it there, and free?'
                if isinstance(place, int)
                else f'video {place} cannot be read: it is damaged, or no video OpenCV knows'
            )
        self.rate = self._capture.get(cv2.CAP_PROP_FPS) or RATE
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frames = count if count > 0 else None  # as the file says; None where it does not

    def is_cut_short(self, read: int) -> bool:
        """Whether a file holds more frames than were read; a last one may be missing.

        Where its kind has no such number, OpenCV guesses it by the duration, which proves nothing.
        """
        counted = isinstance(self.place, Path) and self.place.suffix.lower() in COUNTED
        return counted and read + 1 < (self.frames or 0)

    def __iter__(self) -> Iterator[np.ndarray]:
        try:
            while True:
                there, frame = self._capture.read()
                if not there:
                    return
                yield frame
        finally:
            self._capture.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that OpenCV prints on what it tries to open something with."""
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


@contextmanager
def video_file(path: Path, rate: float) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that appends a frame, (H, W, 3) uint8, RGB, to an MP4 file.

    The file is there only when the block ends well. Sides of an odd number of pixels lose the last
    one, as the format has it.

    Args:
        path: The file.
        rate: Frames a second.
    """
    with replacing(path) as unfinished:
        writer = None

        def write(frame: np.ndarray) -> None:
            nonlocal writer
            if writer is None:
                code = cv2.VideoWriter.fourcc(*'mp4v')
                writer = cv2.VideoWriter(str(unfinished), code, rate, frame.shape[1::-1])
                if not writer.isOpened():
                    raise OSError(f'{path} cannot be written: this OpenCV writes no MP4')
            writer.write(np.ascontiguousarray(frame[..., ::-1]))

        try:
            yield write
        finally:
            if writer is not None:
                writer.release()
