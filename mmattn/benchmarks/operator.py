"""The operator of criss-cross attention against the composition of einsums that mmcv uses."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from mmattn.benchmarks import Case, Options, Size, words
from mmattn.benchmarks.passes import BACKWARD, PASSES, dtypes
from mmattn.benchmarks.peaks import measure_peaks, told_peaks
from mmattn.errors import UserError
from mmattn.ops import criss_cross_attention
from mmattn.ops.extension import EXTENSION

TITLE = 'The operator of criss-cross attention'
TEXT = """\
`mmattn.ops.criss_cross_attention` against the computation of `mmcv.ops.CrissCrossAttention`
between its convolutions, a composition of einsums, on one image, in float32 and in the half
precision that the device computes in. Queries and keys have an eighth of the channels.
Multiply-adds are those of the products, three times as many with the backward pass."""
SIDE, REFERENCE = 'side', 'mmcv'
SIZES = ((8, 8), (16, 16), (32, 32), (64, 64), (97, 97), (128, 256))
CHANNELS = (64, 128, 256, 512)
extras = measure_peaks
LAYOUTS = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last}


def einsum_composition(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The computation of mmcv.ops.CrissCrossAttention between its convolutions."""
    height = query.shape[2]
    diagonal = torch.full((height,), float('-inf'), dtype=query.dtype, device=query.device).diag()
    column = (torch.einsum('bchw,bciw->bwhi', query, key) + diagonal).transpose(1, 2)
    row = torch.einsum('bchw,bchj->bhwj', query, key)
    attention = torch.cat([column, row], dim=-1).softmax(dim=-1)
    out = torch.einsum('bciw,bhwi->bchw', value, attention[..., :height])
    out += torch.einsum('bchj,bhwj->bchw', value, attention[..., height:])
    return out


def make_inputs(
    size: Size, channels: int, dtype: torch.dtype, device: str, layout: torch.memory_format
) -> tuple[list[Tensor], Tensor]:
    """Query, key and value, which need gradients, and the gradient of the output."""
    generator = torch.Generator().manual_seed(0)

    def tensor(n: int) -> Tensor:
        x = torch.randn(1, n, *size, generator=generator) / n**0.25
        return x.to(device, dtype).contiguous(memory_format=layout)

    inputs = [tensor(n).requires_grad_() for n in (channels // 8, channels // 8, channels)]
    return inputs, tensor(channels)


def cases(options: Options) -> Iterator[Case]:
    """A case for each type, layout, size, number of channels, and pass.

    Raises:
        UserError: The operator is not compiled for the device.
    """
    if missing := EXTENSION.missing(options.device):
        raise UserError(missing)
    for dtype in dtypes(options.device):
        for layout in LAYOUTS:
            for size in options.sizes:
                for channels in CHANNELS:
                    yield from _cases(size, channels, dtype, options.device, layout)


def _cases(size: Size, channels: int, dtype: str, device: str, layout: str) -> Iterator[Case]:
    inputs, grad_out = make_inputs(size, channels, dtypes(device)[dtype], device, LAYOUTS[layout])
    height, width = size
    macs = height * width * (height + width) * (channels + channels // 8)
    sides = {REFERENCE: einsum_composition, 'mmattn': criss_cross_attention}
    for name, run in PASSES.items():
        yield Case(
            labels={
                'type': dtype,
                'layout': layout,
                'map': words(size),
                'channels': str(channels),
                'pass': name,
            },
            jobs={side: partial(run, attend, inputs, grad_out) for side, attend in sides.items()},
            macs=dict.fromkeys(sides, macs * (BACKWARD if name != 'forward' else 1)),
        )


def findings(results: dict) -> list[str]:
    """What the GFLOP/s of the table are to be held against."""
    return [told_peaks(results)]
