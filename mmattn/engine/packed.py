"""Convolutions on the CPU whose weights are brought into the layout of their kernel once."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmattn.engine.cpu import cpu_has_bfloat16

_LARGE = 2**14  # elements of a weight; smaller ones are soon brought anywhere


class _Packed(NamedTuple):
    source: tuple  # what it was made of
    weight: Tensor
    bias: Tensor | None


class PackedConv2d(nn.Conv2d):
    """`nn.Conv2d` for predicting alone: the same numbers, under autocast too.

    torch brings a weight into oneDNN's layout in every call, and casts it under autocast. Here both
    happen in the first call, and again after the weight has changed. The weight itself stays, for
    what traces the module.
    """

    _packed: _Packed | None = None

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W'), as `nn.Conv2d`."""
        needs_grad = torch.is_grad_enabled() and (input.requires_grad or self.weight.requires_grad)
        if needs_grad or torch.compiler.is_compiling():
            return super().forward(input)
        autocast = torch.is_autocast_enabled('cpu')
        dtype = torch.get_autocast_dtype('cpu') if autocast else self.weight.dtype
        if input.device.type != 'cpu' or input.dim() != 4 or not _has_kernels(dtype):
            return super().forward(input)
        input = input.to(dtype)
        packed = self._current(input)
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        return torch.ops.mkldnn._convolution_pointwise(
            input, packed.weight, packed.bias, *geometry, 'none', [], ''
        )

    def _current(self, input: Tensor) -> _Packed:
        source = (input.dtype, *map(_state, (self.weight, self.bias)))
        packed = self._packed  # one reading: other threads may replace it
        if packed is None or packed.source != source:
            bias = None if self.bias is None else self.bias.detach().to(input.dtype)
            packed = self._packed = _Packed(source, self._in_layout_for(input), bias)
        return packed

    def _in_layout_for(self, input: Tensor) -> Tensor:
        """The layout that suits one size; for others it is right, too."""
        weight = self.weight.detach().to(input.dtype)
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, input.shape)

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_packed': None}


def _has_kernels(dtype: torch.dtype) -> bool:
    return dtype == torch.float32 or (dtype == torch.bfloat16 and cpu_has_bfloat16())


def _state(parameter: Tensor | None) -> tuple | None:
    if parameter is None:
        return None
    return parameter.data_ptr(), 0 if parameter.is_inference() else parameter._version


def pack_convolutions(model: nn.Module) -> None:
    """Make all large convolutions of a model `PackedConv2d`, where torch has oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return
    for module in model.modules():
        plain = type(module) is nn.Conv2d and module.padding_mode == 'zeros'
        large = plain and module.weight.numel() >= _LARGE
        if large and module.groups == 1 and not isinstance(module.padding, str):
            module.__class__ = PackedConv2d
