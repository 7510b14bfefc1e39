"""Predictions as files."""

import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmattn.apis.inputs import Source
from mmattn.apis.prediction import Prediction, png
from mmattn.errors import UserError
from mmattn.files import check_writable, write_atomically


@dataclass(frozen=True)
class Outputs:
    """Writes predictions to ``folder/KIND/NAME.SUFFIX``.

    Attributes:
        folder: The folder of all kinds.
        kinds: Names of `KINDS`.
        opacity: Of the colours in overlays.
        ids: What each class is called in label files; None for the data set's own numbers.
    """

    folder: Path
    kinds: Sequence[str]
    opacity: float = 0.5
    ids: Sequence[int] | None = None

    def check(self, sources: Iterable[Source], overwrite: bool) -> None:
        """Raise UserError where files would be replaced, or predictions cannot be written."""
        check_writable(self.folder, 'the folder of predictions', 'name another with --out')
        sources = list(sources)
        self._refuse_images_among_frames(sources)
        targets = {target for source in sources for target in self._targets(source)}
        inputs = {source.place.resolve() for source in sources if isinstance(source.place, Path)}
        own = sorted(target for target in targets if target.resolve() in inputs)
        if own:
            raise UserError(f'{own[0]} is an input, and would be replaced: name another --out')
        existing = sorted(target for target in targets if target.exists())
        if existing and not overwrite:
            raise UserError(
                f'{len(existing)} of {len(targets)} files exist already, such as {existing[0]}: '
                '--overwrite replaces them, --out names another folder'
            )

    def _refuse_images_among_frames(self, sources: list[Source]) -> None:
        videos = {source.name: source for source in sources if source.moves}
        for source in sources if set(self.kinds) - set(MOVING) else ():
            video = next((videos[name] for name in source.name.parents if name in videos), None)
            if video and not source.moves:
                raise UserError(
                    f'predictions of {source.place} would lie among those of the frames of '
                    f'{video.place}: predict them one after the other, into two folders'
                )

    def _targets(self, source: Source) -> list[Path]:
        if not source.moves:
            return [self.file(kind, source.name) for kind in self.kinds]
        return [
            self.video(kind, source.name) if kind in MOVING else self.folder / kind / source.name
            for kind in self.kinds
        ]

    def frame(self, video: Path, number: int) -> Path:
        """The name of a frame of a video of that name."""
        return video / f'{number:06d}'

    def remove_frames(self, video: Path) -> None:
        """Remove the files of an earlier prediction of a video, which may have had more frames."""
        for kind in set(self.kinds) - set(MOVING):
            for file in (self.folder / kind / video).glob(f'*{KINDS[kind][0]}'):
                if re.fullmatch(r'\d{6,}', file.stem):
                    file.unlink()

    def file(self, kind: str, name: Path) -> Path:
        return self.folder / kind / f'{name}{KINDS[kind][0]}'

    def video(self, kind: str, name: Path) -> Path:
        return self.folder / kind / f'{name}.mp4'

    def write(self, prediction: Prediction, name: Path, kinds: Iterable[str] | None = None) -> None:
        """Write the kinds (default: all) of one image or frame."""
        for kind in self.kinds if kinds is None else kinds:
            _, encode = KINDS[kind]
            write_atomically(self.file(kind, name), encode(prediction, self))


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, 'JPEG', quality=92)
    return file.getvalue()


def _npy(prediction: Prediction) -> bytes:
    file = io.BytesIO()
    np.save(file, prediction.logits.numpy())
    return file.getvalue()


def _json(prediction: Prediction) -> str:
    height, width = prediction.labels.shape
    facts = {
        'image': None if prediction.path is None else str(prediction.path),
        **{'width': width, 'height': height},
        'shares': {name: round(share, 6) for name, share in prediction.shares.items()},
    }
    return json.dumps(facts, indent=2, ensure_ascii=False)


# kind: suffix of its files, and their contents
KINDS: dict[str, tuple[str, Callable[[Prediction, Outputs], bytes | str]]] = {
    'labels': ('.png', lambda p, outputs: png(p.index_image(outputs.ids))),
    'color': ('.png', lambda p, outputs: png(p.overlay(1))),
    'overlay': ('.jpg', lambda p, outputs: _jpeg(p.overlay(outputs.opacity))),
    'panel': ('.png', lambda p, outputs: png(p.panel())),
    'logits': ('.npy', lambda p, outputs: _npy(p)),
    'json': ('.json', lambda p, outputs: _json(p)),
}
# Kinds that are a video of a video; the others are one file a frame.
MOVING = ('color', 'overlay')
