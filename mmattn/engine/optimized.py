"""A trained model, made faster for predicting, and held against what it was."""

import copy
import logging
from typing import Any

import numpy as np
import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.logging import print_log
from mmseg.models.backbones import ResNet
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
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if any(norm.running_mean is None for norm in norms):  # they normalise by each batch
        return model
    for norm in norms:
        if not norm.affine:  # mmcv's function reads the weights
            norm.weight = nn.Parameter(torch.ones_like(norm.running_var))
            norm.bias = nn.Parameter(torch.zeros_like(norm.running_mean))
    return fuse_conv_bn(model)


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
