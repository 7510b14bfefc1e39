"""Do the heads of a model fit what they get, and can their losses be computed?"""

from collections.abc import Iterator

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.segmentors import CascadeEncoderDecoder, EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from mmattn.engine.inference import LeanInference, check_windows
from mmattn.errors import UserError
from mmattn.preflight.config import heads_of


def check_heads(settings: dict, channels: list[int]) -> None:
    """Raise UserError for a head that reads a map that is not there, or of other channels.

    Args:
        settings: The config of the model.
        channels: Of the maps that backbone and neck give.
    """
    for place, head in heads_of(settings) if channels else ():
        for index, expected in _read_by(head):
            if not -len(channels) <= index < len(channels):
                raise UserError(
                    f'{place}.in_index names map {index}, but backbone and neck give '
                    f'{len(channels)}: 0 to {len(channels) - 1}'
                )
            if expected != channels[index]:
                raise UserError(
                    f'{place}.in_channels is {expected} for map {index}, which has '
                    f'{channels[index]} channels: backbone and neck give maps of '
                    f'{", ".join(map(str, channels))} channels'
                )


def check_losses(model: nn.Module, settings: dict) -> None:
    """Raise UserError for a head whose loss cannot be computed on what the head gives.

    Args:
        model: Built from the settings.
        settings: The config of the model.
    """
    for place, head in _built_heads(model, settings):
        cascaded = isinstance(head, BaseCascadeDecodeHead)
        if cascaded and not isinstance(model, CascadeEncoderDecoder):
            raise UserError(
                f'{place} is a {type(head).__name__}, which refines the output of a head before '
                'it: use model.type=CascadeEncoderDecoder with num_stages=2 and a list of two '
                'heads, as configs/_base_/models/ocrnet_r50-d8.py does'
            )
        channels = getattr(head, 'out_channels', None)
        if channels == getattr(head, 'num_classes', None) == 1:
            raise UserError(
                f'{place} has num_classes=1, but background is a class, too: set num_classes=2, '
                'for one logit with out_channels=1 and loss_decode.use_sigmoid=True'
            )
        for loss in _losses(head):
            weights = getattr(loss, 'class_weight', None)
            if channels and weights is not None and len(weights) != channels:
                raise UserError(
                    f'{place}.loss_decode.class_weight has {len(weights)} weights, but the head '
                    f'gives {channels} channels: one weight for each'
                )
            softmax = type(loss).__name__ == 'CrossEntropyLoss' and not loss.use_sigmoid
            if channels == 1 and softmax and not getattr(loss, 'use_mask', False):
                raise UserError(
                    f'{place} gives one channel (out_channels=1), of which its softmax '
                    'CrossEntropyLoss can learn nothing: set loss_decode.use_sigmoid=True there, '
                    'or out_channels=2'
                )


def check_inference(model: nn.Module) -> None:
    """Raise UserError where a segmentor's test_cfg is no way of inference."""
    if not isinstance(model, EncoderDecoder) or type(model).inference != EncoderDecoder.inference:
        return
    mode = (model.test_cfg or {}).get('mode', 'whole')
    if mode not in ('slide', 'whole'):
        raise UserError(f'model.test_cfg.mode is {mode!r}: it must be whole or slide')
    common = (EncoderDecoder.slide_inference, LeanInference.slide_inference)
    if mode == 'slide' and type(model).slide_inference in common:
        check_windows(model.test_cfg)


def train_but_for_norms(model: nn.Module) -> None:
    """Training mode, in which some models have outputs for losses alone; not of norms, for which
    one image may have too few values."""
    model.train()
    for module in model.modules():
        if isinstance(module, _NormBase):
            module.eval()


def compute_losses(model: EncoderDecoder, images: Tensor) -> dict[str, Tensor]:
    """The losses of all heads on images (B, C, H, W) whose labels are all class 0."""
    size = images.shape[2:]
    label = torch.zeros(1, *size, dtype=torch.long, device=images.device)
    sample = SegDataSample(metainfo=dict(img_shape=size, pad_shape=size))
    sample.gt_sem_seg = PixelData(data=label)
    sample.gt_edge_map = PixelData(data=label)  # which some heads of mmseg learn, too
    return model.loss(images, [sample] * len(images))


def _built_heads(model: nn.Module, settings: dict) -> Iterator[tuple[str, nn.Module]]:
    for place, _ in heads_of(settings):
        head = model
        for name in place.split('.')[1:]:
            if head is not None:
                head = head[int(name)] if name.isdigit() else getattr(head, name, None)
        if head is not None:
            yield place, head


def _losses(head: nn.Module) -> list[nn.Module]:
    losses = getattr(head, 'loss_decode', None)
    if losses is None:
        return []
    return list(losses) if isinstance(losses, nn.ModuleList) else [losses]


def _read_by(head: dict) -> Iterator[tuple[int, int]]:
    """(index, channels) of the maps that a head's settings say it reads."""
    index, channels = head.get('in_index', -1), head.get('in_channels')
    if isinstance(index, int) and isinstance(channels, int):
        yield index, channels
    elif isinstance(index, list | tuple) and isinstance(channels, list | tuple):
        yield from zip(index, channels)  # noqa: B905  the head itself refuses unequal lengths
