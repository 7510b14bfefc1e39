"""Write docs/zoo.md, the table of all mechanisms."""

import argparse
from pathlib import Path

from mmattn.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--measure', action='store_true', help='time the mechanisms first, two minutes of this CPU'
    )


def run(args: argparse.Namespace) -> None:
    from mmattn.cli.zoo_page import measure_latency, render_zoo

    root = Path(__file__).resolve().parents[2]
    if not (root / 'docs').is_dir():
        raise UserError(f'{root} is no checkout of mmattn: it has no folder docs to write to')
    if args.measure:
        measure_latency(root)
    target = root / 'docs' / 'zoo.md'
    target.write_text(render_zoo(root))
    print(target)
