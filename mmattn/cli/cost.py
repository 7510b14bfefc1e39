"""Tell what mechanisms and models cost: parameters, multiply-adds, memory, time."""

import argparse
from typing import TYPE_CHECKING

from mmattn.cli.arguments import add_import_argument, parse_shape
from mmattn.errors import UserError

if TYPE_CHECKING:
    from mmattn.cost import Cost, Job

_CHANNELS, _SIZE = 256, (64, 64)
_SECONDS = 5  # in which times are measured
_HEADINGS = ('', 'parameters', 'multiply-adds', 'memory', 'time')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'subjects',
        nargs='+',
        metavar='MECHANISM_OR_CONFIG',
        help='CBAM, "SE(reduction=8)", or a config file; several are compared with the first',
    )
    parser.add_argument(
        '--shape',
        type=parse_shape,
        help='of the map of a mechanism, as in 256x64x64 (channels, height, width), or of the '
        'image of a config, as in 512x1024; default 256x64x64, or what the config crops',
    )
    add_import_argument(parser)


def run(args: argparse.Namespace) -> None:
    from mmattn.cli.arguments import import_modules
    from mmattn.cost import readable, relative_latencies

    import_modules(args.imports)
    costs, jobs = {}, {}
    for subject in args.subjects:
        measure = _config if subject.endswith('.py') else _mechanism
        costs[subject], jobs[subject] = measure(subject, args.shape)
    first, *others = jobs
    ratios, milliseconds, rounds = relative_latencies(
        jobs[first], {name: jobs[name] for name in others} or {first: jobs[first]}, _SECONDS
    )
    rows = [_HEADINGS]
    for name, cost in costs.items():
        time = f'{milliseconds:,.1f} ms' if name == first else f'{ratios[name]:.2f} of that'
        memory = f'{cost.memory / 2**20:.3g} MiB'
        rows.append((name, readable(cost.parameters), readable(cost.macs), memory, time))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        texts = (f'{cell:>{width}}' for cell, width in zip(cells, widths[1:], strict=True))
        print(f'{name:<{widths[0]}}  {"  ".join(texts)}')
    print(
        'One map or image. Multiply-adds of convolutions and products in inference; memory that '
        f'training keeps for the backward pass; median time of an inference, {rounds} rounds '
        'interleaved, on this CPU.'
    )


def _mechanism(text: str, shape: tuple[int, ...] | None) -> 'tuple[Cost, Job]':
    import torch

    from mmattn.cli.mechanism import parse_mechanism
    from mmattn.cost import measure_cost
    from mmattn.preflight.model import frames_of_clip

    subject = parse_mechanism(text)
    if shape is not None and len(shape) != 3:
        raise UserError(f'--shape of {subject.name} takes channels, height and width: 256x64x64')
    shape = channels, *_ = shape or (_CHANNELS, *_SIZE)
    module = subject.make(channels).eval()
    frames = frames_of_clip(module)
    # Two images, or clips: norms of pooled maps want more than one value.
    cost = measure_cost(lambda: subject.make(channels), [(2 * frames, *shape)] * subject.maps)
    return cost, (module, [torch.randn(frames, *shape) for _ in range(subject.maps)])


def _config(file: str, shape: tuple[int, ...] | None) -> 'tuple[Cost, Job]':
    import torch

    from mmattn.cost import Cost
    from mmattn.engine.runner import separate_run
    from mmattn.preflight.config import load_config, require_keys
    from mmattn.preflight.cost import activations, build_without_weights
    from mmattn.preflight.model import input_shape, look_at_model
    from mmattn.preflight.pretrained import drop_pretrained

    if shape is not None and len(shape) != 2:
        raise UserError(f'--shape of {file} takes height and width, as in 512x1024')
    cfg = load_config(file)
    require_keys(cfg, file, 'model')
    drop_pretrained(cfg)
    if shape:
        cfg.crop_size = shape
        cfg.model.setdefault('data_preprocessor', {})['size'] = shape
    with separate_run():
        facts = look_at_model(cfg)
        if facts.macs is None:
            raise UserError(f'the model of {file} cannot be counted without values')
        cost = Cost(facts.parameters, facts.macs, activations(cfg, facts.size))
        model = build_without_weights(cfg).eval()
    return cost, (model, [torch.randn(input_shape(model, cfg.model, facts.size))])
