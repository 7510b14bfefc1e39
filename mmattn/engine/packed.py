"""Convolutions on the CPU whose weights are brought into the layout of their kernel once."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from mmattn.processor import cpu_has_bfloat16

_LARGE = 2**14  # elements of a weight; below it, reordering in each call costs little


class _Packed(NamedTuple):
    state: tuple  # of what it was made of
    sources: tuple[Tensor, ...]  # held, so that nothing else comes to lie at their address
    weight: Tensor
    bias: Tensor | None


class PackedConv2d(nn.Conv2d):
    """`nn.Conv2d` for predicting alone: the same but for rounding, under autocast too.

    torch reorders a weight into oneDNN's layout in every call, and casts it under autocast. Here
    both happen in the first call, and again after the weight was replaced, or changed in place
    (other than through ``.data``, which tells nobody). The weight itself stays, for whatever takes
    gradients or traces the module.
    """

    _packed: _Packed | None = None

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W'), as `nn.Conv2d`."""
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
        dtype = None if traced or self._differentiates(input) else self._dtype_of_products(input)
        if dtype is None:
            return super().forward(input)
        input = input.to(dtype)
        packed = self._current(input)
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        return torch.ops.mkldnn._convolution_pointwise(
            input, packed.weight, packed.bias, *geometry, 'none', [], ''
        )

    def _differentiates(self, input: Tensor) -> bool:
        """Whether gradients or tangents are to be had, which the kernel does not give."""
        needs_grad = any(x.requires_grad for x in (input, *self.parameters(recurse=False)))
        return (needs_grad and torch.is_grad_enabled()) or forward_ad._current_level >= 0

    def _dtype_of_products(self, input: Tensor) -> torch.dtype | None:
        """What the kernel computes in; None where it does not serve."""
        dtypes = {input.dtype, self.weight.dtype}
        if torch.is_autocast_enabled('cpu') and dtypes <= {torch.float32, torch.bfloat16}:
            dtypes = {torch.get_autocast_dtype('cpu')}
        # Of tensors made in inference mode changes cannot be noticed.
        uncounted = any(x.is_inference() for x in self.parameters(recurse=False))
        if input.device.type != 'cpu' or input.dim() != 4 or len(dtypes) > 1 or uncounted:
            return None
        (dtype,) = dtypes
        served = dtype == torch.float32 or (dtype == torch.bfloat16 and cpu_has_bfloat16())
        return dtype if served else None

    def _current(self, input: Tensor) -> _Packed:
        sources = tuple(x.detach() for x in self.parameters(recurse=False))
        state = (input.dtype, *((x.data_ptr(), x._version) for x in sources))
        packed = self._packed  # one reading: other threads may replace it
        if packed is None or packed.state != state:
            bias = None if self.bias is None else self.bias.detach().to(input.dtype)
            packed = self._packed = _Packed(state, sources, self._in_layout_for(input), bias)
        return packed

    def _in_layout_for(self, input: Tensor) -> Tensor:
        """The layout that suits one size; for others it is right, too."""
        weight = self.weight.detach().to(input.dtype)
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, input.shape)

    def __getstate__(self) -> dict:
        return {**super().__getstate__(), '_packed': None}


def pack_convolutions(model: nn.Module) -> None:
    """Make all large convolutions of a model `PackedConv2d`, where torch has oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return
    for module in model.modules():
        plain = type(module) is nn.Conv2d and module.padding_mode == 'zeros'
        large = plain and module.weight.numel() >= _LARGE
        if large and module.groups == 1 and not isinstance(module.padding, str):
            module.__class__ = PackedConv2d
