"""The table of all mechanisms, docs/zoo.md."""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from mmseg.models.backbones.resnet import Bottleneck, ResNet
from torch import nn

from mmattn.cost import Cost, measure_cost, readable, relative_latencies, two_digits
from mmattn.models.mechanisms import AUTHORS, LIBRARY, LISTING, OTHERS, TABLE, Mechanism, Source
from mmattn.provenance import processor

CHANNELS, SIZE = 512, (64, 64)
LATENCY_FILE = 'benchmarks/results/zoo_latency.json'
_MEASURE = 'python tools/zoo.py --measure'

_INTRODUCTION = """\
# All mechanisms

Written by `python tools/zoo.py`; do not edit.

Each is a plain module of `mmattn.attention` and, but for the parts of a head, a type that configs
name. The costs are those of the module with its defaults on one map of {channels} x {height} x
{width}, and in parentheses relative to the bare block: a bottleneck block of ResNet-50 without
attention on the same map, as in stage 2 of a network of output stride 8 for images of {image} x
{image}. The block has {parameters} parameters, {macs} MACs and {memory} of memory.

- **kind**: what attention is over: channels, positions (spatial), both (hybrid), pairs of pixels,
  rows or channels (self), classes (category), frequencies, second-order statistics; or the fusion
  of two maps.
- **MACs**: multiply-adds of convolutions and matrix products in a forward pass.
- **memory**: what a training step in float32 on the CPU keeps for the backward pass, the input
  included. On GPUs fused kernels keep no scores between pixels.
- **latency**: inference in float32, one image, relative to the bare block. {latency}
- **plugs into**: *any* stands for a position of a block (`plugins` of `AttnResNet`,
  `AttnResNetV1c` and `AttnResNetV1d`, 18 to 152 layers, and of mmseg's own bottleneck ResNets),
  the end of a stage (their position `after_stage`), a neck (`AttentionNeck`) and a head
  (`AttentionHead`). All mechanisms but fusions and parts of heads fit *any*. Where one would
  more than double ResNet-50 ({backbone} parameters) from `after_conv3` of every block in stages 2
  to 4, its row names the place where it is meant to stand instead, and what every block would add.
  *Any but on the shortcut*: at `shortcut`, `after_add` or `after_relu` of every block it makes the
  pixels of an image so alike that two images a process do not train; elsewhere they do.
- **norms**: a mechanism takes the `norm_cfg` of the backbone, neck or head of ours that holds it;
  in mmseg's own backbones its config must name one. Where a batch norm sees fewer than four values
  a channel in training (up to three images pooled to a pixel), it updates its running statistics
  and normalises by them: of two values it would make +1 and -1 and gradients without bound.
- **same numbers as**: the code whose outputs and input gradients a test compares with those of the
  module, and whose code that is: that of the *authors*, of a *library*, a re-implementation by
  *others*, or a *listing* in an overview article. Where the default is not the form of that code,
  the option that is stands with it. Forms that differ from the paper and are not offered are named
  too; the docstring of the module says how they differ.
"""
_COLUMNS = (
    'name',
    'paper',
    'kind',
    'parameters',
    'MACs',
    'memory',
    'latency',
    'plugs into',
    'same numbers as',
)
_PLACES = {
    'map': 'any',
    'convolution': 'any',
    'fusion': '`fusion` of `AttnResNet`, `AFFFPN`',
    'part': '',
}
_ORIGINS = {AUTHORS: 'authors', LIBRARY: 'library', OTHERS: 'others', LISTING: 'listing'}
# Number of blocks and channels at their ends in stages 2 to 4 of ResNet-50.
_BLOCKS = ((4, 512), (6, 1024), (3, 2048))


def build(name: str) -> nn.Module:
    """A mechanism with its defaults."""
    return TABLE[name].module(CHANNELS)


def counted(settings: Mapping[str, Any]) -> tuple[str, str, str]:
    """Parameters, MACs and memory of a mechanism on the map of the table, in words.

    Args:
        settings: As a config names it: its type, and its options.
    """
    module = TABLE[settings['type']].module
    options = {key: value for key, value in settings.items() if key != 'type'}
    return _amounts(_cost(partial(module, CHANNELS, **options), _inputs(settings['type'])))


def render_zoo(root: Path) -> str:
    """The text of docs/zoo.md.

    Args:
        root: The checkout; without its file of latencies, and for mechanisms that are not in it,
            the column says so.
    """
    file = root / LATENCY_FILE
    measured = json.loads(file.read_text()) if file.is_file() else {}
    reference = _cost(_reference, 1)
    block = dict(zip(('parameters', 'macs', 'memory'), _amounts(reference), strict=True))
    introduction = _INTRODUCTION.format(
        channels=CHANNELS,
        height=SIZE[0],
        width=SIZE[1],
        image=8 * SIZE[0],
        latency=_describe(measured),
        backbone=readable(_backbone_parameters()),
        **block,
    )
    rows = [_COLUMNS, ('---',) * len(_COLUMNS), *_rows(reference, measured.get('ratios', {}))]
    return introduction + '\n' + ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def _rows(reference: Cost, ratios: dict[str, float]) -> Iterator[tuple[str, ...]]:
    for name, row in sorted(TABLE.items(), key=lambda item: item[0].lower()):
        cost = _cost(partial(build, name), _inputs(name))
        relative = (a / b for a, b in zip(astuple(cost), astuple(reference), strict=True))
        costs = zip(_amounts(cost), relative, strict=True)
        yield (
            f'`{name}`',
            _paper(row.module),
            row.attends,
            *(f'{amount} ({_ratio(value)})' for amount, value in costs),
            _ratio(ratios[name]) if name in ratios else 'not measured',
            _place(row),
            '; '.join(map(_describe_source, row.sources))
            + (f'; not offered: {row.left_out}' if row.left_out else ''),
        )


def _place(row: Mechanism) -> str:
    added = added_parameters(row)
    if added > _backbone_parameters() and row.kind != 'part':
        return f'{row.place} (every block: {readable(added)} parameters)'
    places = 'any but on the shortcut' if row.levels else _PLACES[row.kind]
    return ', '.join(filter(None, (row.place, places)))


def added_parameters(row: Mechanism) -> int:
    """What ResNet-50 gains by the mechanism at the end of every block of stages 2 to 4."""
    with torch.device('meta'):
        return sum(blocks * _parameters(row.module(channels)) for blocks, channels in _BLOCKS)


@cache
def _backbone_parameters() -> int:
    with torch.device('meta'):
        return _parameters(ResNet(50))


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _describe_source(source: Source) -> str:
    words = ' '.join(filter(None, (f'*{_ORIGINS[source.origin]}*', source.name)))
    return ', '.join(filter(None, (words, source.note)))


def measure_latency(root: Path) -> None:
    """Time all mechanisms against the bare block, about two minutes, and write the file of it."""

    def job(module: nn.Module, inputs: int) -> tuple[nn.Module, list[torch.Tensor]]:
        return module.eval(), [torch.randn(1, CHANNELS, *SIZE) for _ in range(inputs)]

    jobs = {name: job(build(name), _inputs(name)) for name in TABLE}
    ratios, milliseconds, rounds = relative_latencies(job(_reference(), 1), jobs)
    result = dict(
        command=_MEASURE,
        machine=processor(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        rounds=rounds,
        block_milliseconds=round(milliseconds, 2),
        ratios={name: round(ratio, 3) for name, ratio in ratios.items()},
    )
    file = root / LATENCY_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=2) + '\n')


def _reference() -> nn.Module:
    return Bottleneck(CHANNELS, CHANNELS // Bottleneck.expansion)


def _inputs(name: str) -> int:
    return 2 if TABLE[name].kind in ('fusion', 'part') else 1


def _cost(build: Callable[[], nn.Module], inputs: int) -> Cost:
    return measure_cost(build, [(2, CHANNELS, *SIZE)] * inputs)


def _amounts(cost: Cost) -> tuple[str, str, str]:
    return readable(cost.parameters), readable(cost.macs), f'{two_digits(cost.memory / 2**20)} MiB'


def _ratio(value: float) -> str:
    if value >= 9.95:
        return f'{value:.0f}'
    return f'{value:.2f}' if value == 0 or value >= 0.005 else '<0.01'


def _paper(mechanism: type[nn.Module]) -> str:
    """The link in the head of the mechanism's file, named after the mechanism."""
    text = inspect.getmodule(mechanism).__doc__
    title, url = re.match(r'(.+?) \(.*?(https://[^\s)]+)\)', text).groups()
    return f'[{title}, {url.rsplit("/", 1)[1]}]({url})'


def _describe(measured: dict) -> str:
    if not measured:
        return f'Not measured yet: `{_MEASURE}`.'
    return (
        f'Medians of {measured["rounds"]} rounds in which each is timed right after the block '
        f'({measured["block_milliseconds"]} ms): {measured["machine"]}, {measured["threads"]} '
        f'threads, torch {measured["torch"]}, `{measured["command"]}` '
        f'([numbers](../{LATENCY_FILE})).'
    )
