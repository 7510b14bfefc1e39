"""Write the pages of docs that are made of data, such as the table of all mechanisms."""

import argparse
from pathlib import Path

from mmattn.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--measure', action='store_true', help='time the mechanisms first, two minutes of this CPU'
    )
    parser.add_argument(
        '--export',
        action='store_true',
        help='export all mechanisms first and see which take all sizes, some minutes',
    )


def run(args: argparse.Namespace) -> None:
    from mmattn.cli.benchmarks_page import render_benchmarks
    from mmattn.cli.checkpoints_page import render_checkpoints
    from mmattn.cli.export_page import measure_sizes, render_sizes
    from mmattn.cli.results_page import draw_results, render_results
    from mmattn.cli.zoo_page import measure_latency, render_zoo

    root = Path(__file__).resolve().parents[2]
    if not (root / 'docs').is_dir():
        raise UserError(f'{root} is no checkout of mmattn: it has no folder docs to write to')
    if args.measure:
        measure_latency(root)
    if args.export:
        measure_sizes(root)
    pages = {
        'zoo.md': render_zoo,
        'checkpoints.md': render_checkpoints,
        'export_sizes.md': render_sizes,
        'results.md': render_results,
        'benchmarks.md': render_benchmarks,
    }
    for name, render in pages.items():
        target = root / 'docs' / name
        target.write_text(render(root))
        print(target)
    for target in draw_results(root):
        print(target)
