"""A trained model that takes images and gives the class of every pixel."""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.structures import BaseDataElement
from mmseg.datasets.transforms import LoadImageFromNDArray
from mmseg.registry import MODELS, TRANSFORMS
from torch import Tensor

from mmattn.apis.images import as_array, as_rgb
from mmattn.apis.models import image_pipeline, load_model
from mmattn.apis.options import require_tta
from mmattn.apis.overlap import in_threads
from mmattn.apis.prediction import Prediction
from mmattn.apis.unlabelled import without_labels
from mmattn.engine.agreement import EQUAL
from mmattn.engine.inference import keep_logits
from mmattn.engine.optimized import CheckedModel, optimized
from mmattn.engine.runtimes import is_exported
from mmattn.engine.views import average_in_turn
from mmattn.errors import UserError, explain_settings, first_line, is_of_libraries
from mmattn.preflight.model import frames_of_clip, input_channels


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image, prepared for the model.

    Attributes:
        packed: What the test pipeline of the config gave.
        image: (H, W, 3) uint8, RGB, at its own size.
        path: Its file, if it has one.
    """

    packed: dict[str, Any]
    image: np.ndarray
    path: Path | None

    @property
    def shapes(self) -> tuple:
        """What images of one batch have in common."""
        inputs = self.packed['inputs']
        inputs = inputs if isinstance(inputs, list) else [inputs]
        return self.image.shape, *(tuple(tensor.shape) for tensor in inputs)


class Segmentor:
    """Predicts the class of every pixel of images.

    `Segmentor(config, checkpoint)(image)` prepares the image as the test pipeline of the config
    does, sends it through the model, whole or in sliding windows as the config's ``test_cfg`` says,
    and returns a `Prediction` of the image's own size. Its attributes ``classes`` and ``palette``
    name the classes and their RGB colours, ``model`` is the model as it was trained.

    Args:
        config: config file.
        checkpoint: weights of that config's model: a file, what `mmattn export` made of it, or the
            name of a model that MMSegmentation publishes, which is downloaded.
        device: where it shall run; default: a GPU where there is one, else the CPU; of exported
            files the CPU.
        optimize: `'auto'` predicts with a faster copy of the model (`mmattn.engine.optimized`), if
            its labels on the first images are those of the model; they are predicted twice. What
            `mmattn.apis.tune` found to be faster still on this machine is used, too. True does
            without all that, False predicts with the model as it is.
        agreement: share of those labels, 0 to 1, that must be equal. Where fewer are, the model
            itself goes on, with a warning.
        tta: average over the scales and flips of the config's ``tta_pipeline``.
        batch_size: how many images of one size go through the model together.
        cfg_options: overrides, dotted key to value.

    Raises:
        UserError: Whatever can be known to be wrong with these.
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path,
        *,
        device: str | torch.device | None = None,
        optimize: bool | str = 'auto',
        agreement: float = EQUAL,
        tta: bool = False,
        batch_size: int = 1,
        cfg_options: dict[str, Any] | None = None,
    ) -> None:
        if type(batch_size) is not int or batch_size < 1:
            raise UserError(f'batch_size is {batch_size!r}: it must be an integer, at least 1')
        if optimize not in ('auto', True, False):
            raise UserError(f"optimize is {optimize!r}: it must be 'auto', True or False")
        if not (type(agreement) in (int, float) and 0 <= agreement <= 1):
            raise UserError(f'agreement is {agreement!r}: it must be a share of the labels, 0 to 1')
        self.batch_size = batch_size
        self._one_at_a_time = Lock()
        if device is None:
            device = 'cpu' if is_exported(checkpoint) else get_device()
        self.model = load_model(config, checkpoint, device=device, cfg_options=cfg_options)
        cfg, meta = self.model.cfg, self.model.dataset_meta
        self.classes: tuple[str, ...] = meta['classes']
        self.palette: list[list[int]] = meta['palette']
        self._counts_from_one = meta['reduce_zero_label']
        self._channels = input_channels(cfg.model)
        self._frames = 1 if is_exported(checkpoint) else frames_of_clip(self.model)
        self._tta = tta
        self._tester = self.model
        if tta:
            require_tta(cfg)
            self._tester = MODELS.build(dict(cfg.tta_model, module=self.model)).eval()
            average_in_turn(self._tester)
        self._fast = self._tester if is_exported(checkpoint) else None
        if optimize and self._fast is None:
            settings = cfg.model if optimize == 'auto' else None
            plain = self._tester
            self._fast = optimized(plain, keep_logits=tta, settings=settings)
            checked = optimize == 'auto'
            self._tester = CheckedModel(plain, self._fast, agreement) if checked else self._fast
        steps = without_labels(cfg.tta_pipeline if tta else image_pipeline(cfg))
        with explain_settings():
            self._read: BaseTransform = TRANSFORMS.build(steps[0])
            self._prepare = Compose(steps[1:])
        self._take = LoadImageFromNDArray(to_float32=getattr(self._read, 'to_float32', False))

    def __call__(self, images: Any, *, logits: bool = False) -> Any:
        """The same as `predict`."""
        return self.predict(images, logits=logits)

    def predict(self, images: Any, *, logits: bool = False) -> Any:
        """Predict one image, a batch, or a stream of images.

        Args:
            images: The path of a file; an array (H, W, 3) in the order blue, green, red, as OpenCV
                reads, uint8 or floats of 0 to 255; a PIL image; a tensor (3, H, W) in the order
                red, green, blue, uint8 or floats of 0 to 1; or a list, a batch
                (an array or tensor with one dimension more) or an iterator of these.
            logits: Also return the logits of each pixel, at the size of the image.

        Returns:
            A `Prediction`; a list of them for a list or a batch; for an iterator an iterator, which
            reads one batch ahead: it is prepared while the network is at the batch at hand.

        Raises:
            UserError: An image that cannot be read, or is none.
        """
        if isinstance(images, Iterator):
            return self._predict_stream(map(_kept, images), logits)
        if isinstance(images, list | tuple) or getattr(images, 'ndim', 0) == 4:
            return list(self._predict_stream(images, logits))
        (prediction,) = self.predict_loaded([self.load(images)], logits=logits)
        return prediction

    def load(self, image: Any) -> LoadedImage:
        """Read one image, as `predict` takes it, and prepare it for the model.

        Raises:
            UserError: It cannot be read, or is none.
        """
        path = Path(image) if isinstance(image, str | os.PathLike) else None
        if path is None:
            results = self._take({'img': as_array(image, self._channels)})
        else:
            with _failures_told(path, 'read', 'it is damaged, or no image of a kind that is known'):
                results = self._read({'img_path': str(path)})
        seen = as_rgb(results['img'])
        size = 'x'.join(map(str, seen.shape[:2]))
        with _failures_told(f'{path or "array"} ({size})', 'prepared by the test pipeline'):
            packed = self._prepare(results)
        return LoadedImage(image=seen, packed=packed, path=path)

    def predict_loaded(
        self, images: Iterable[LoadedImage], *, logits: bool = False
    ) -> Iterator[Prediction]:
        """Predict images that `load` has read; arguments and errors as those of `predict`."""
        if logits and self._tta:
            raise UserError('logits are of one view of an image, and tta averages over several')
        for batch in _batches(images, self.batch_size):
            yield from self._predict_batch(batch, logits)

    def _predict_stream(self, images: Iterable[Any], logits: bool) -> Iterator[Prediction]:
        # One more than a batch under way: a whole batch, while the network is at the one before.
        with closing(in_threads(self.load, images, ahead=self.batch_size + 1)) as loaded:
            yield from self.predict_loaded(loaded, logits=logits)

    def _predict_batch(self, batch: list[LoadedImage], logits: bool) -> list[Prediction]:
        if len(batch) % self._frames:
            raise UserError(
                f'the model attends over clips of {self._frames} frames, and {len(batch)} came '
                f'together: give batch_size={self._frames} (--batch {self._frames}), and frames of '
                'one size in the order of the video, a multiple of that number'
            )
        data = pseudo_collate([image.packed for image in batch])
        with self._one_at_a_time, torch.inference_mode():  # models keep what they are asked for
            if self._fast is not None:
                keep_logits(self._fast, logits or self._tta)
            samples = self._tester.test_step(data)
            if isinstance(self._tester, CheckedModel):
                self._fast = self._tester.fast  # None, and its memory free, once it failed
        return [
            Prediction(
                labels=self._labels(sample, image.image.shape[:2]),
                classes=self.classes,
                palette=self.palette,
                image=image.image,
                path=image.path,
                logits=sample.seg_logits.data.float().cpu() if logits else None,
                counts_from_one=self._counts_from_one,
            )
            for image, sample in zip(batch, samples, strict=True)
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != '_one_at_a_time'}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _one_at_a_time=Lock())

    def _labels(self, sample: BaseDataElement, size: tuple[int, int]) -> np.ndarray:
        labels: Tensor = sample.pred_sem_seg.data.reshape(size)
        return labels.cpu().numpy().astype(np.uint8 if len(self.classes) <= 256 else np.uint16)


@contextmanager
def _failures_told(image: Path | str, what: str, reason: str = '') -> Iterator[None]:
    try:
        yield
    except Exception as error:  # decoders and transforms fail in many ways
        if not is_of_libraries(error, skip=1):
            raise
        reason = (isinstance(error, OSError) and error.strerror) or reason or first_line(error)
        raise UserError(f'image {image} cannot be {what}: {reason}') from error


def _batches(images: Iterable[LoadedImage], size: int) -> Iterator[list[LoadedImage]]:
    """Of images of one shape that follow each other; an error comes after those before it."""
    batch: list[LoadedImage] = []
    try:
        for image in images:
            if batch and image.shapes != batch[0].shapes:
                yield batch
                batch = []
            batch.append(image)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _kept(image: Any) -> Any:
    """An image of its own memory: an iterator may read the next one into the same."""
    if isinstance(image, Tensor):
        return image.clone()
    return image.copy() if isinstance(image, np.ndarray) else image
