"""Predict images, folders, videos and cameras, into files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmattn.apis.inputs import Source, find_inputs
from mmattn.apis.outputs import KINDS, MOVING, Outputs
from mmattn.apis.overlap import in_threads
from mmattn.apis.prediction import Prediction
from mmattn.apis.segmentor import LoadedImage, Segmentor
from mmattn.apis.videos import Video, video_file
from mmattn.datasets.cityscapes_ids import cityscapes_ids
from mmattn.datasets.progress import track
from mmattn.errors import UserError


@dataclass
class PredictResult:
    """What `predict` did.

    Attributes:
        images: Number of images that were predicted.
        frames: Number of frames of videos.
        unreadable: Why each file was left out that could not be read; videos that end early too.
    """

    images: int = 0
    frames: int = 0
    unreadable: list[str] = field(default_factory=list)


def predict(
    config: str | Path,
    checkpoint: str | Path,
    inputs: Sequence[str | Path],
    *,
    out: str | Path = 'predictions',
    save: Sequence[str] = ('labels', 'overlay'),
    opacity: float = 0.5,
    tta: bool = False,
    device: str | None = None,
    batch: int = 1,
    optimize: bool = True,
    overwrite: bool = False,
    label_ids: bool = False,
    cfg_options: dict[str, Any] | None = None,
) -> PredictResult:
    """Predict all inputs and write what is asked for to ``out/KIND/NAME``.

    Args:
        config: config file.
        checkpoint: weights of that config's model: a file, or the name of a model that
            MMSegmentation publishes, which is downloaded.
        inputs: images, folders of them, patterns, videos and numbers of cameras, which run until
            Ctrl+C.
        out: folder of the predictions.
        save: kinds of files: labels (index PNGs), color, overlay, panel (image | prediction with a
            legend), logits (float32, `.npy`), json (size and shares of area).
        opacity: of the colours in overlays, 0 to 1.
        tta: average over the scales and flips of the config's `tta_pipeline`.
        device: default: a GPU where there is one, else the CPU.
        batch: images of one size that go through the model together.
        optimize: predict with a faster copy of the model, if its labels on the first images are
            those of the model, 99 % of them.
        overwrite: replace files of earlier predictions.
        label_ids: write labels as the ids of Cityscapes that its test server takes.
        cfg_options: overrides, dotted key to value.

    Raises UserError for whatever can be known to be wrong before the first image. Files that cannot
    be read are left out and named in the result; of a video that ends early, what is there is
    predicted, and it is named too.
    """
    unknown = sorted(set(save) - set(KINDS))
    if unknown or not save:
        raise UserError(f'save is {", ".join(unknown) or "empty"}: choose of {", ".join(KINDS)}')
    if not 0 <= opacity <= 1:
        raise UserError(f'opacity is {opacity}: it goes from 0, the image, to 1, the colours')
    if tta and 'logits' in save:
        raise UserError('logits are of one view of an image, and tta averages over several')
    sources = find_inputs(inputs, [Path(out, kind) for kind in KINDS])
    if 'panel' in save and any(source.moves for source in sources):
        raise UserError('panels are of images alone: of videos save overlay or color')
    outputs = Outputs(Path(out), tuple(dict.fromkeys(save)), opacity)
    outputs.check(sources, overwrite)
    segmentor = Segmentor(
        config,
        checkpoint,
        device=device,
        optimize='auto' if optimize else False,
        tta=tta,
        batch_size=batch,
        cfg_options=cfg_options,
    )
    if label_ids:
        outputs = Outputs(outputs.folder, outputs.kinds, opacity, cityscapes_ids(segmentor.classes))

    result = PredictResult()
    _predict_images([source for source in sources if not source.moves], segmentor, outputs, result)
    for source in sources:
        if source.moves:
            _predict_video(source, segmentor, outputs, result)
    return result


def _predict_images(
    sources: list[Source], segmentor: Segmentor, outputs: Outputs, result: PredictResult
) -> None:
    names = {source.place: source.name for source in sources}

    def readable() -> Iterator[LoadedImage]:
        for loaded in in_threads(partial(_load, segmentor), names):
            if isinstance(loaded, LoadedImage):
                yield loaded
            else:
                result.unreadable.append(str(loaded))

    def write(prediction: Prediction) -> None:
        outputs.write(prediction, names[prediction.path])

    predictions = segmentor.predict_loaded(readable(), logits='logits' in outputs.kinds)
    written = in_threads(write, predictions)
    for _ in track(written, len(names), 'predicting', rate_of='images'):
        result.images += 1


def _load(segmentor: Segmentor, path: Path) -> LoadedImage | UserError:
    try:
        return segmentor.load(path)
    except UserError as error:
        return error


def _predict_video(
    source: Source, segmentor: Segmentor, outputs: Outputs, result: PredictResult
) -> None:
    """Predict a video, or a camera until Ctrl+C."""
    still = [kind for kind in outputs.kinds if kind not in MOVING]
    count = 0
    try:
        video = Video(source.place)
        outputs.remove_frames(source.name)
        with ExitStack() as files:
            moving = {
                kind: files.enter_context(video_file(outputs.video(kind, source.name), video.rate))
                for kind in outputs.kinds
                if kind in MOVING
            }

            def write(numbered: tuple[int, Prediction]) -> None:
                number, prediction = numbered
                for kind, append in moving.items():
                    opacity = outputs.opacity if kind == 'overlay' else 1
                    append(np.asarray(prediction.overlay(opacity)))
                outputs.write(prediction, outputs.frame(source.name, number), still)

            frames = enumerate(_frames(video, segmentor, 'logits' in outputs.kinds))
            if isinstance(source.place, int):  # Ctrl+C ends it, and all that is predicted is there
                written = map(write, frames)
            else:  # in order, and before the files end
                written = files.enter_context(closing(in_threads(write, frames, threads=1)))
            try:
                for _ in written:
                    count += 1
            except KeyboardInterrupt:
                if not isinstance(source.place, int):
                    raise
            if not count:
                raise UserError(f'video {source.place} cannot be read: it holds no frame')
        if video.is_cut_short(count):
            raise UserError(
                f'video {source.place} ends early: {count} of its {video.frames} frames were read '
                'and predicted'
            )
    except UserError as error:
        result.unreadable.append(str(error))
    result.frames += count


def _frames(video: Video, segmentor: Segmentor, logits: bool) -> Iterator[Prediction]:
    # From a camera the newest frame is wanted; those of a file are read ahead.
    load = map if isinstance(video.place, int) else in_threads
    predictions = segmentor.predict_loaded(load(segmentor.load, video), logits=logits)
    return track(predictions, video.frames, f'predicting {video.place}', rate_of='frames')
