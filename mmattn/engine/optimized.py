"""A trained model, made faster for predicting, and held against what it was."""

import copy
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from mmcv.cnn import ConvModule
from mmengine.logging import print_log
from mmseg.models.backbones import HRNet, ResNet
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.decode_heads import (
    ANNHead,
    CCHead,
    DAHead,
    FCNHead,
    GCHead,
    NLHead,
    OCRHead,
    PSPHead,
    UPerHead,
)
from mmseg.models.segmentors import EncoderDecoder
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmattn.attention.norms import NormSequential
from mmattn.engine.agreement import EQUAL, Agreement
from mmattn.engine.inference import make_lean
from mmattn.engine.packed import pack_convolutions
from mmattn.engine.stand_in import Chosen
from mmattn.processor import cpu_has_bfloat16

_HEADS_OF_MMSEG = (ANNHead, CCHead, DAHead, FCNHead, GCHead, NLHead, OCRHead, PSPHead, UPerHead)


def optimized(
    model: nn.Module, *, keep_logits: bool = False, settings: dict | None = None
) -> nn.Module:
    """A copy of a model for predicting alone: the same labels but for rounding.

    Norms are fused into convolutions, auxiliary heads are dropped, maps that no head reads are not
    kept, weights are channels_last and on the CPU `PackedConv2d`'s, the network computes in half
    precision where the device has it, and what is around it is that of `LeanInference`.

    Args:
        model: A segmentor, or what averages over views of one, with its weights.
        keep_logits: Whether predictions keep their ``seg_logits``, as averaging needs.
        settings: The model's config. With it, what was measured to be faster on this machine takes
            the place of the network (`mmattn.engine.stand_in`).
    """
    device = next(model.parameters()).device
    fast = copy.deepcopy(model).eval()
    for segmentor in [part for part in fast.modules() if isinstance(part, EncoderDecoder)]:
        if segmentor.with_auxiliary_head:
            segmentor.auxiliary_head = None
        _drop_unused_outputs(segmentor)
        if make_lean(segmentor):
            segmentor.autocast_dtype = _half(device)
            segmentor.keep_logits = keep_logits
            segmentor.stand_in = Chosen(settings) if settings else None
    fast = _fused(fast).to(memory_format=torch.channels_last)
    if device.type == 'cpu':
        pack_convolutions(fast)
    return fast


def _fused(model: nn.Module) -> nn.Module:
    """The model with its batch norms in its convolutions, where they are constant."""
    places = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    for parent in model.modules():
        for names in list(_following(parent)):
            conv, norm = (parent._modules.get(name) for name in names)
            if _fuses(conv, norm) and places[id(conv)] == places[id(norm)] == 1:
                fused = fuse_conv_bn_eval(conv, norm)
                parent._modules.update(zip(names, (fused, nn.Identity()), strict=True))
    return model


def _following(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of layers of which the second is known to take the output of the first alone.

    Elsewhere layers may run in another order than they were made in, or read something else, too.
    """
    if isinstance(parent, ConvModule):
        if 'conv norm' in ' '.join(parent.order) and parent.with_norm:
            yield 'conv', parent.norm_name
    elif isinstance(parent, BasicBlock | Bottleneck | ResNet | HRNet):
        for number in (1, 2, 3):
            yield f'conv{number}', getattr(parent, f'norm{number}_name', '')
    elif type(parent).forward in (nn.Sequential.forward, NormSequential.forward):
        yield from pairwise(parent._modules)


def _fuses(conv: nn.Module | None, norm: nn.Module | None) -> bool:
    return (
        type(conv) is nn.Conv2d  # others may do more to their weights
        and not conv._forward_pre_hooks  # as spectral norms do
        and isinstance(norm, _BatchNorm)
        and norm.running_mean is not None  # else it normalises by each batch
        and norm.num_features == conv.out_channels
    )


def _drop_unused_outputs(segmentor: EncoderDecoder) -> None:
    """Have a ResNet return the stages that heads read alone: it holds the others until its end."""
    backbone, heads = segmentor.backbone, segmentor.decode_head
    heads = list(heads) if isinstance(heads, nn.ModuleList) else [heads]
    if not isinstance(backbone, ResNet) or segmentor.with_neck:
        return
    if not all(_reads_what_it_names(head) for head in heads):
        return
    stages = backbone.out_indices
    read = [[stages[i] for i in np.atleast_1d(head.in_index)] for head in heads]
    backbone.out_indices = tuple(sorted(set().union(*read)))
    for head, own in zip(heads, read, strict=True):
        places = [backbone.out_indices.index(stage) for stage in own]
        head.in_index = places[0] if isinstance(head.in_index, int) else places


def _reads_what_it_names(head: nn.Module) -> bool:
    """Whether the inputs of a head are those of its ``in_index`` alone (DeepLabV3+'s are not)."""
    return type(head).__module__.startswith('mmattn.') or type(head) in _HEADS_OF_MMSEG


def _half(device: torch.device) -> torch.dtype | None:
    if device.type == 'cuda':
        return torch.float16
    return torch.bfloat16 if device.type == 'cpu' and cpu_has_bfloat16() else None


class CheckedModel(nn.Module):
    """Predicts with the faster model, after the first images have shown that it can be trusted.

    The first images go through both. Where too few of their labels are equal, the plain model goes
    on alone, with a warning.

    Args:
        plain: The model as it was.
        fast: What `optimized` made of it.
        agreement: Share of the labels that must be equal, 0 to 1.
    """

    def __init__(self, plain: nn.Module, fast: nn.Module, agreement: float = EQUAL) -> None:
        super().__init__()
        self.plain: nn.Module | None = plain
        self.fast: nn.Module | None = fast
        self._agreement = Agreement(agreement)

    def test_step(self, data: Any) -> list:
        """As that of mmengine's models."""
        if self.fast is None or self.plain is None:
            return (self.plain or self.fast).test_step(data)
        trial = self.fast.test_step(copy.deepcopy(data))  # results are written into the data
        samples = self.plain.test_step(data)
        for ours, theirs in zip(trial, samples, strict=True):
            self._agreement.add(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)
        if self._agreement.fails:
            print_log(
                f'the optimized model gives {self._agreement.share:.1%} of the labels of the '
                'plain one, which goes on instead',
                logger='current',
                level=logging.WARNING,
            )
            self.fast = None
        elif self._agreement.holds:
            self.plain = None
        return samples
