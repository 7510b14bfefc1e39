"""What EncoderDecoder does around its network, in less memory and time."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmattn.errors import UserError

# Logits that are resized at a time, in elements: 4 MiB in float32, which caches hold, and which
# malloc gives again where it would take larger ones from the system each time.
RESIZED_AT_ONCE = 2**20
_FLIPPED = {'horizontal': 3, 'vertical': 2}  # dimension of (N, C, H, W)


class Window(NamedTuple):
    """Where a window lies in its images, and its logits (N, C, h, w), in the network's size."""

    rows: slice
    columns: slice
    logits: Tensor


@dataclass(frozen=True)
class WindowedLogits:
    """Logits of images (N, C, H, W) by their windows; takes indices of images and classes.

    Attributes:
        windows: Where each lies, and its logits.
        seen: How many windows see a pixel, (H, W).
    """

    windows: list[Window]
    seen: Tensor

    def __getitem__(self, index: Any) -> 'WindowedLogits':
        return WindowedLogits([w._replace(logits=w.logits[index]) for w in self.windows], self.seen)


class LeanInference:
    """Mixin for `EncoderDecoder`, in evaluation: the same predictions, but

    - the network may run in half precision (``autocast_dtype``); its logits are float32;
    - something faster may stand in for it (``stand_in``), which is called with the segmentor and
      (N, 3, H, W) and gives the logits, or None for inputs that it does not take;
    - windows share passes, and are added to their slice of the output, where mmseg pads each to the
      size of the image;
    - logits are resized, and windows added, some classes at a time, the best of which are kept:
      never all of them in the size of the image. So samples have no ``seg_logits``, unless
      ``keep_logits`` is set. Where ``hand_over`` is, it is called with the index of each sample and
      what would be its ``seg_logits``, one after the other, and samples get nothing.

    Its last decode head leaves logits in their own size (`leave_logits_small`).
    """

    autocast_dtype: torch.dtype | None = None
    hand_over: Callable[[int, Tensor], None] | None = None
    keep_logits: bool = False
    stand_in: Callable[['LeanInference', Tensor], Tensor | None] | None = None

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """As that of `EncoderDecoder`; samples tell the size of the labels, else the inputs do."""
        if data_samples is None:
            shapes = dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), tuple(inputs.shape[2:]))
            data_samples = [SegDataSample(metainfo=shapes) for _ in inputs]
        return super().predict(inputs, data_samples)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """(N, 3, H, W) to logits (N, C, h, w), float32, as small as the network gives them."""
        logits = self.stand_in(self, inputs) if self.stand_in else None
        return self.network(inputs, batch_img_metas) if logits is None else logits

    def network(self, inputs: Tensor, batch_img_metas: Sequence[dict] = ()) -> Tensor:
        """As `encode_decode`, by the modules themselves."""
        dtype = self.autocast_dtype
        with torch.autocast(inputs.device.type, dtype, enabled=dtype is not None):
            logits = super().encode_decode(inputs, batch_img_metas)
        return logits.float().contiguous()  # a class lies together, as it is resized

    def whole_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """(N, 3, H, W) to logits, in their own size where only their labels are wanted."""
        logits = self.encode_decode(inputs, batch_img_metas)
        return self._resized(logits, inputs.shape[2:]) if self._needs_logits else logits

    def slide_inference(
        self, inputs: Tensor, batch_img_metas: list[dict]
    ) -> Tensor | WindowedLogits:
        """(N, 3, H, W) to logits (N, C, H, W), the mean of all windows that see a pixel.

        Where only labels are wanted, and the network's logits are smaller than its windows, what
        that mean can be made of, some classes at a time.

        Raises:
            UserError: Windows leave pixels out (`check_windows`).
        """
        check_windows(self.test_cfg)
        places = list(_places(inputs.shape[2:], self.test_cfg.crop_size, self.test_cfg.stride))
        seen = inputs.new_zeros(inputs.shape[2:])
        for place in places:
            seen[place] += 1
        windows = self._predict_windows(inputs, batch_img_metas, places)
        first = next(windows)
        windows = chain([first], windows)
        if self._needs_logits or first.logits.shape[2] == first.rows.stop - first.rows.start:
            return self._mean_of_windows(windows, seen)
        return WindowedLogits(list(windows), seen)

    def _predict_windows(
        self, inputs: Tensor, batch_img_metas: list[dict], places: list[tuple[slice, slice]]
    ) -> Iterator[Window]:
        count = len(inputs)
        rows, columns = places[0]
        pixels = count * (rows.stop - rows.start) * (columns.stop - columns.start)
        together = max(1, pixels_of_a_pass(inputs.device) // pixels)
        for first in range(0, len(places), together):
            some = places[first : first + together]
            crops = torch.cat([inputs[:, :, rows, columns] for rows, columns in some])
            metas = [{**meta, 'img_shape': crops.shape[2:]} for meta in batch_img_metas]
            logits = self.encode_decode(crops, metas * len(some)).split(count)
            yield from (Window(*place, each) for place, each in zip(some, logits, strict=True))

    def _mean_of_windows(self, windows: Iterable[Window], seen: Tensor) -> Tensor:
        mean = None
        for rows, columns, small in windows:
            logits = self._resized(small, (rows.stop - rows.start, columns.stop - columns.start))
            if mean is None:
                mean = logits.new_zeros(*logits.shape[:2], *seen.shape)
            mean[:, :, rows, columns] += logits
        return mean.div_(seen)

    def postprocess_result(
        self,
        seg_logits: Tensor | WindowedLogits,
        data_samples: list[SegDataSample] | None = None,
    ) -> list[SegDataSample]:
        """Labels of each image, in its own size, from logits (N, C, h, w)."""
        if self._needs_logits:
            return super().postprocess_result(seg_logits, data_samples)
        for i, sample in enumerate(data_samples):
            logits = seg_logits[i : i + 1]
            if self.hand_over:
                large = self._all_classes(logits, sample.metainfo)
                self.hand_over(i, large if self.out_channels > 1 else large.sigmoid())
            else:
                labels = self._best_class(logits, sample.metainfo)
                sample.pred_sem_seg = PixelData(data=labels[None])
        return data_samples

    @property
    def _needs_logits(self) -> bool:
        return not self.hand_over and (self.keep_logits or self.out_channels == 1)

    def _resized(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, C, h, w) to (N, C, H, W)."""
        if logits.shape[2:] == tuple(size):
            return logits
        return resize(
            logits, size, mode='bilinear', align_corners=self.align_corners, warning=False
        )

    def _best_class(self, logits: Tensor | WindowedLogits, meta: dict) -> Tensor:
        """The class of the largest logit of each pixel of an image: (1, C, h, w) to (H, W), int64.

        As `argmax` of all logits, resized to the input and then to the image: each class is resized
        by itself anyway, and of small logits of whole images only those that may win.
        """
        classes = list(range(self.out_channels))
        if isinstance(logits, Tensor) and _is_enlarged(logits.shape[2:], _padded(meta)):
            classes = _may_win(logits)
        best = labels = larger = None
        for some, part in self._in_parts(logits, meta, classes):
            for label, each in zip(some, part, strict=True):
                if best is None:
                    best = each.clone()
                    labels = torch.full_like(each, label, dtype=torch.float32)
                    larger = torch.empty_like(labels)
                else:
                    # Labels rise, so that the largest is the last to win. In float32 a CPU takes
                    # half as long as with integers and masks, or with the index of the largest.
                    torch.gt(each, best, out=larger)
                    torch.maximum(labels, larger.mul_(label), out=labels)
                    torch.maximum(best, each, out=best)
        return labels.long()

    def _all_classes(self, logits: Tensor | WindowedLogits, meta: dict) -> Tensor:
        """Logits (1, C, h, w) in the size of the image, (C, H, W)."""
        large = None
        for some, part in self._in_parts(logits, meta, list(range(self.out_channels))):
            if large is None:
                large = part.new_empty(self.out_channels, *part.shape[1:])
            large[some[0] : some[-1] + 1] = part
        return large

    def _in_parts(
        self, logits: Tensor | WindowedLogits, meta: dict, classes: list[int]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Some classes at a time, and their logits in the size of the image, (c, H, W)."""
        padded = _padded(meta)
        at_once = max(1, RESIZED_AT_ONCE // (padded[0] * padded[1]))
        for first in range(0, len(classes), at_once):
            some = classes[first : first + at_once]
            part = logits[:, some]
            if isinstance(part, WindowedLogits):
                part = self._mean_of_windows(part.windows, part.seen)
            part = self._resized(part, padded)
            yield some, self._resized(_as_the_image(part, meta), meta['ori_shape'])[0]


def _padded(meta: dict) -> tuple[int, int]:
    """Height and width of the input that an image became."""
    return meta.get('pad_shape', meta['img_shape'])[:2]


def _is_enlarged(small: Sequence[int], large: Sequence[int]) -> bool:
    """Whether no side shrinks, and pixels become 16 times as many: `_may_win` then costs little."""
    return all(map(operator.le, small, large)) and 16 * math.prod(small) <= math.prod(large)


def _may_win(logits: Tensor) -> list[int]:
    """The classes of logits (1, C, h, w) that may have the largest somewhere after enlarging.

    All that bilinear resizing makes, also twice, are means of 3 x 3 logits. A class cannot win
    among those whose largest is below the smallest of another.
    """
    if min(logits.shape[2:]) < 3:
        return list(range(logits.shape[1]))
    largest = _of_neighbours(torch.maximum, logits[0])
    beaten = _of_neighbours(torch.minimum, logits[0]).amax(0)
    beaten = beaten - 1e-5 * beaten.abs().amax()  # what rounding may add
    return (~(largest < beaten)).flatten(1).any(1).nonzero().flatten().tolist()


def _of_neighbours(function: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> Tensor:
    """The largest or smallest of all 3 x 3 neighbours: (C, h, w) to (C, h - 2, w - 2)."""
    for _ in range(2):
        x = function(x[:, 1:], x[:, :-1])
        x = function(x[:, :, 1:], x[:, :, :-1])
    return x


def pixels_of_a_pass(device: torch.device) -> int:
    """How many pixels go through the network at a time: GPUs like many, a CPU gains nothing."""
    return 2**21 if device.type == 'cuda' else 0


def check_windows(test_cfg: Mapping[str, Any]) -> None:
    """Raise UserError where sliding windows have no size or stride, or leave gaps between them."""
    for key in ('crop_size', 'stride'):
        if not _is_size(test_cfg.get(key)):
            raise UserError(
                f'model.test_cfg.{key} is {test_cfg.get(key)!r}: sliding windows (mode slide) need '
                'two positive integers there, of height and width, such as crop_size=(512, 512) '
                'and stride=(341, 341)'
            )
    crop, stride = tuple(test_cfg['crop_size']), tuple(test_cfg['stride'])
    if any(map(operator.gt, stride, crop)):
        raise UserError(
            f'model.test_cfg.stride is {stride}, and crop_size {crop}: between such windows are '
            'pixels that none of them sees; set model.test_cfg.stride to at most crop_size, two '
            'thirds of it for instance'
        )


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(type(side) is int and side > 0 for side in value)
    )


def _places(
    size: tuple[int, int], crop: tuple[int, int], stride: tuple[int, int]
) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each window, by rows; at the borders they are moved into the image."""
    for rows in _intervals(size[0], crop[0], stride[0]):
        for columns in _intervals(size[1], crop[1], stride[1]):
            yield rows, columns


def _intervals(length: int, crop: int, stride: int) -> Iterator[slice]:
    steps = max(length - crop + stride - 1, 0) // stride + 1
    for step in range(steps):
        stop = min(step * stride + crop, length)
        yield slice(max(stop - crop, 0), stop)


def _as_the_image(logits: Tensor, meta: dict) -> Tensor:
    """Logits (N, C, H, W) without the padding of the input, and flipped back."""
    left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', (0,) * 4))
    height, width = logits.shape[2:]
    logits = logits[:, :, top : height - bottom, left : width - right]
    if not meta.get('flip'):
        return logits
    direction = meta['flip_direction']
    if direction not in _FLIPPED:
        raise UserError(
            f'an image was flipped {direction!r}, and predictions are flipped back '
            f'{" or ".join(_FLIPPED)} alone: set the direction of RandomFlip to one of these'
        )
    return logits.flip(_FLIPPED[direction])


def make_lean(segmentor: EncoderDecoder) -> bool:
    """Give a segmentor `LeanInference`; False where it infers in a way of its own, and keeps it."""
    kind, head = type(segmentor), segmentor.decode_head
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    names = ('slide_inference', 'whole_inference', 'postprocess_result')
    own = [name for name in names if getattr(kind, name) is not getattr(EncoderDecoder, name)]
    if own or type(head).predict_by_feat is not BaseDecodeHead.predict_by_feat:
        return False
    head.predict_by_feat = leave_logits_small
    segmentor.__class__ = type(f'Lean{kind.__name__}', (LeanInference, kind), {})
    return True


def leave_logits_small(seg_logits: Tensor, batch_img_metas: list[dict]) -> Tensor:
    """In the place of a head's `predict_by_feat`, which resizes them to the input."""
    return seg_logits


def keep_logits(model: nn.Module, keep: bool) -> None:
    """Set whether the samples of all lean segmentors in a model have ``seg_logits``."""
    for part in model.modules():
        if isinstance(part, LeanInference):
            part.keep_logits = keep
