"""Measure time and memory of this machine, against MMSegmentation's own code side by side."""

import argparse
import shlex
import sys
from pathlib import Path

from mmattn.benchmarks import KINDS
from mmattn.cli.arguments import parse_shape
from mmattn.errors import UserError

_ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'kind',
        choices=KINDS,
        help='operator: criss-cross attention; attention: blocks on maps of growing size; heads: '
        'the six decode heads; inference: whole models with ResNet-50; windows: the same in '
        'sliding windows; loss: cross entropy; training: a step with ResNet-18; evaluation: the '
        'metric',
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--against',
        choices=('mmseg', 'none'),
        default='mmseg',
        help="mmseg (the default) times OpenMMLab's own code in turns with ours; none times ours",
    )
    parser.add_argument(
        '--sizes',
        nargs='+',
        type=parse_shape,
        metavar='HxW',
        help='maps, images or label maps to measure, as in 64x64 (default: those of the page)',
    )
    parser.add_argument(
        '--models', nargs='+', metavar='NAME', help='blocks or methods to measure; default: all'
    )
    parser.add_argument(
        '--rounds', type=int, default=9, help='how often each side is timed, at least (default: 9)'
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='folder of the files (default, in a checkout: benchmarks/results/PROCESSOR, where '
        '`mmattn zoo` reads them for docs/benchmarks.md)',
    )


def run(args: argparse.Namespace) -> None:
    from mmattn.compat import import_mmseg

    if any(len(size) != 2 for size in args.sizes or ()):
        raise UserError('--sizes takes heights and widths, as in 64x64')
    if args.out is None and not (_ROOT / 'docs').is_dir():
        raise UserError(f'{_ROOT} is no checkout of mmattn; name a folder: --out benchmark')
    import_mmseg()

    from mmattn.benchmarks.running import make_options, measure
    from mmattn.benchmarks.shares import share_table
    from mmattn.benchmarks.tables import aligned
    from mmattn.benchmarks.writing import slug, table, write
    from mmattn.engine.runner import separate_run
    from mmattn.files import check_writable
    from mmattn.provenance import device_name

    options = make_options(
        args.kind, args.device, args.sizes, args.models, args.rounds, args.against == 'mmseg'
    )
    folder = args.out or _ROOT / 'benchmarks/results' / slug(device_name(args.device))
    check_writable(folder, 'the folder', 'name another: --out')
    with separate_run():
        results = measure(args.kind, options, _report)
    results['command'] = _command(sys.argv[1:], args.out)
    for rows in filter(None, (table(results), share_table(results))):
        print()
        print(aligned(rows))
    for file in write(results, folder):
        print(file)


def _command(arguments: list[str], out: Path | None) -> str:
    """The command without the folder, which says nothing about the figures."""
    words = [word for word in arguments if not word.startswith('--out')]
    return shlex.join(['mmattn', *(word for word in words if word != str(out))])


def _report(case: dict) -> None:
    """A line for each case that is done, on the other stream than the table."""
    times = ', '.join(f'{side} {spread[1]:.3g} ms' for side, spread in case['milliseconds'].items())
    print(f'{", ".join(case["labels"].values())}: {times}', file=sys.stderr, flush=True)
