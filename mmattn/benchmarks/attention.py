"""Attention blocks against the non-local block, on maps of growing size."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from operator import methodcaller

import torch
from matplotlib.figure import Figure
from mmcv.cnn import NonLocal2d
from mmseg.models.decode_heads.da_head import PAM
from torch import Tensor, nn

from mmattn.attention import FullyAttentional, PositionAttention
from mmattn.attention.chunks import plain_attention
from mmattn.attention.fully_attentional import ChannelsOfLines
from mmattn.attention.weighing import Weigh
from mmattn.benchmarks import Case, Options, words
from mmattn.benchmarks.claims import Claim, check_claim
from mmattn.benchmarks.drawing import growth_figure
from mmattn.benchmarks.growth import available_memory, exponent
from mmattn.benchmarks.passes import BACKWARD, PASSES, dtypes
from mmattn.benchmarks.tables import markdown
from mmattn.cost import measure_cost
from mmattn.models.mechanisms import TABLE

TITLE = 'Attention blocks'
TEXT = """\
The blocks of the heads against the non-local block, one map of 512 channels, in float32 and under
autocast in the half precision that the device computes in. `NonLocal2d` is mmcv's, in its defaults:
keys and values of 256 channels. `PAM` is that of mmseg's DANet: keys of 64 channels, values of 512.
`keys of C/8` is the same by the formulas of the papers, all scores computed and stored: the block
with which CCNet compares itself. `FLA listing` is the fully attentional block in the steps of its
paper's listing, each line with a copy of the keys and all scores stored; only that the listing
mixes the images of a batch was not repeated. The others are those of `mmattn.attention` in their
defaults, criss-cross attention with two steps. The pass with the backward gives the gradients of
the map and of all parameters. A block is left out where its tensors would not fit into the memory
that is free, and on a CPU where a forward pass has more than 10^12 multiply-adds."""
SIDE, REFERENCE = 'block', 'NonLocal2d'
EXPLICIT, LISTING = 'keys of C/8', 'FLA listing'
SIZES = ((32, 32), (64, 64), (97, 97), (128, 128), (128, 256), (256, 256))
CHANNELS = 512
_MOST_MACS = 1e12
# Bytes at the peak of a non-local block for each that it keeps for the backward.
_TENSORS = {'forward': 2, 'forward+backward': 3}


class Weighed(nn.Module):
    """A block with another way to compute its attention.

    Args:
        block: A mechanism of `mmattn.attention`.
        weigh: Computes its attention (`mmattn.attention.weighing`).
    """

    def __init__(self, block: nn.Module, weigh: Weigh) -> None:
        super().__init__()
        self.block, self.weigh = block, weigh

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.block(x, weigh=self.weigh)


def _as_listed(attention: ChannelsOfLines) -> Tensor:
    """(B, C, N, L), of N lines with L pixels, as `ChannelsOfLines.compute`."""
    batch, count = attention.lines.shape[:2]
    lines, keys = (x.flatten(0, 1) for x in (attention.lines, attention.key.repeat(1, count, 1, 1)))
    out = plain_attention(lines, keys, lines)
    return out.unflatten(0, (batch, count)).transpose(1, 2)


class InType(nn.Module):
    """A block that computes in a type, under autocast where that is not float32."""

    def __init__(self, block: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.block, self.dtype = block, dtype

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W), float32."""
        with torch.autocast(x.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self.block(x, *others).float()


def _ours(name: str, **options: object) -> Callable[[int], nn.Module]:
    return partial(TABLE[name].module, **options)


BLOCKS: dict[str, Callable[[int], nn.Module]] = {
    REFERENCE: NonLocal2d,
    'PAM': partial(PAM, channels=CHANNELS // 8),
    EXPLICIT: lambda channels: Weighed(PositionAttention(channels), methodcaller('explicit')),
    'NonLocal': _ours('NonLocal'),
    'PositionAttention': _ours('PositionAttention'),
    'CrissCross': _ours('CrissCross', recurrence=2),
    'APNB': _ours('APNB'),
    'AFNB': _ours('AFNB'),
    'GlobalContext': _ours('GlobalContext'),
    'ObjectContext': _ours('ObjectContext'),
    'FullyAttentional': _ours('FullyAttentional'),
    LISTING: lambda channels: Weighed(FullyAttentional(channels), _as_listed),
}
MODELS = tuple(name for name in BLOCKS if name != REFERENCE)


CLAIMS = (
    Claim('CCNet', 'CrissCross', EXPLICIT, (97, 97), 'memory', 11),
    Claim('CCNet', 'CrissCross', EXPLICIT, (97, 97), 'macs', 1 / (1 - 0.85)),
    Claim('ANN', 'APNB', REFERENCE, (128, 256), 'milliseconds', 6),
    Claim('ANN', 'APNB', REFERENCE, (128, 256), 'memory', 28),
)


def cases(options: Options) -> Iterator[Case]:
    """A case for each type, size and pass, of the blocks that can be measured there."""
    for name, dtype in dtypes(options.device).items():
        yield from _cases(options, name, dtype)


def _cases(options: Options, type_name: str, dtype: torch.dtype) -> Iterator[Case]:
    for size in options.sizes:
        shape = (1, CHANNELS, *size)
        generator = torch.Generator().manual_seed(0)
        x, grad_out = (torch.randn(shape, generator=generator).to(options.device) for _ in 'xg')
        blocks, costs = {}, {}
        for name in (REFERENCE, *options.models):
            inputs = 2 if name == 'AFNB' else 1
            costs[name] = measure_cost(partial(BLOCKS[name], CHANNELS), [(2, *shape[1:])] * inputs)
            torch.manual_seed(0)
            blocks[name] = InType(BLOCKS[name](CHANNELS).to(options.device), dtype)
        for name, run in PASSES.items():
            fits = [
                block
                for block, cost in costs.items()
                if (options.device == 'cuda' or cost.macs <= _MOST_MACS)
                and _TENSORS[name] * cost.memory < 0.8 * available_memory(options.device)
            ]
            if not fits:
                continue
            factor = BACKWARD if name != 'forward' else 1
            yield Case(
                labels={'type': type_name, 'map': words(size), 'pass': name},
                jobs={
                    block: partial(_run, blocks[block], run, x, grad_out, block == 'AFNB')
                    for block in fits
                },
                macs={block: factor * costs[block].macs for block in fits},
            )


def _run(block: nn.Module, run: Callable, x: Tensor, grad_out: Tensor, two: bool) -> object:
    training = run is PASSES['forward+backward']
    inputs = [x.detach().requires_grad_(training) for _ in range(1 + two)]
    return run(block.train(training), inputs, grad_out)


def findings(results: dict) -> list[str]:
    """Exponents of the growth, and which claims of the papers hold here, in float32."""
    results = _in_float32(results)
    paragraphs = []
    curves = _curves(results)
    rows = [
        [block, *(f'{exponent(of_blocks[block]):.2f}' for of_blocks in curves.values())]
        for block in BLOCKS
        if curves and all(len(of_blocks[block]) > 1 for of_blocks in curves.values())
    ]
    if rows:
        paragraphs += [
            'Exponents e of the growth with the number of pixels, cost = c (HW)^e, fitted to the '
            'square maps in float32: 1 is the growth of a convolution, 2 that of all pairs of '
            'pixels. On small maps the convolutions of a block hide that of its attention.',
            markdown([['block', *curves], *rows]),
        ]
    paragraphs.append('What the papers say of their blocks, and what holds here in float32:')
    return [*paragraphs, '\n'.join(check_claim(claim, results) for claim in CLAIMS)]


def draw(results: dict) -> Figure | None:
    """Time and memory in float32 over the pixels of the square maps."""
    curves = _curves(_in_float32(results))
    return growth_figure(curves, 'pixels of the map') if curves else None


def _in_float32(results: dict) -> dict:
    cases = [case for case in results['cases'] if case['labels']['type'] == 'float32']
    return {**results, 'cases': cases}


def _curves(results: dict) -> dict[str, dict[str, dict[int, float]]]:
    """Of square maps, cost and pass: costs by block and pixels."""
    curves: dict = defaultdict(lambda: defaultdict(dict))
    for case in results['cases']:
        height, width = map(int, case['labels']['map'].split('x'))
        if height != width:
            continue
        name = case['labels']['pass']
        for block, (_, median, _) in case['milliseconds'].items():
            curves[f'{name}: ms'][block][height * width] = median
            curves[f'{name}: extra MiB'][block][height * width] = case['memory'][block] / 2**20
    return curves
