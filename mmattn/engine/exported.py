"""An exported network in the place of a segmentor: whatever tests and predicts takes it."""

from pathlib import Path
from types import SimpleNamespace

import torch
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import MODELS
from torch import Tensor

from mmattn.engine.inference import LeanInference
from mmattn.engine.runtimes import open_exported
from mmattn.errors import UserError


@MODELS.register_module()
class ExportedSegmentor(LeanInference, EncoderDecoder):
    """A segmentor whose network is a file: everything around it is that of mmseg's.

    Its sliding windows, averaging over views and resizing to the image are `LeanInference`.

    Args:
        file: What `mmattn.apis.export` wrote.
        device: Where it shall run; None leaves the choice to the runtime.
        data_preprocessor: As that of the model that was exported.
        test_cfg: Likewise: whole images, or windows.

    Its ``run`` is what goes through the file: an input of it to its logits.
    """

    keep_logits = True

    def __init__(
        self,
        file: str,
        device: str | None = None,
        data_preprocessor: dict | None = None,
        test_cfg: dict | None = None,
    ) -> None:
        self.file = Path(file)
        self.meta, self.run = open_exported(self.file, device and torch.device(device))
        self._inside = self.meta['preprocessing'] == 'inside'
        if self._inside:
            plain = dict(mean=None, std=None, bgr_to_rgb=False, rgb_to_bgr=False)
            data_preprocessor = {**(data_preprocessor or {}), **plain}
        BaseSegmentor.__init__(self, data_preprocessor=data_preprocessor)
        self.test_cfg = test_cfg
        self.align_corners = self.meta['align_corners']
        self.out_channels = self.meta['out_channels']
        self.num_classes = len(self.meta['classes'])
        self._threshold = SimpleNamespace(threshold=self.meta['threshold'])

    @property
    def decode_head(self) -> SimpleNamespace:
        """Of the head that was exported, what is needed behind it."""
        return self._threshold

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """(N, 3, H, W) to logits (N, C, H, W), float32; images go through one after the other.

        Raises:
            UserError: Images of a size that the file does not take.
        """
        size, expected = list(inputs.shape[2:]), self.meta['size']
        if expected and size != expected:
            given, taken = ('x'.join(map(str, pair)) for pair in (size, expected))
            raise UserError(
                f'{self.file} takes images of {taken} (height x width), and one is prepared to '
                f'{given}: export with --shape {given}, or with --dynamic for all sizes'
            )
        if not expected and any(a < b for a, b in zip(size, self.meta['smallest'], strict=True)):
            given, taken = ('x'.join(map(str, pair)) for pair in (size, self.meta['smallest']))
            raise UserError(
                f'{self.file} takes images from {taken} on (height x width), and one is prepared '
                f'to {given}: export with a smaller --shape'
            )
        images = inputs.cpu()
        if self._inside:
            images = images.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
        logits = torch.cat([self.run(image) for image in images.split(1)])
        return logits.to(inputs.device)
