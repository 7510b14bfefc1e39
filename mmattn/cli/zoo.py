"""Write docs/zoo.md, the table of all mechanisms, and docs/checkpoints.md."""

import argparse
from pathlib import Path

from mmattn.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--measure', action='store_true', help='time the mechanisms first, two minutes of this CPU'
    )


def run(args: argparse.Namespace) -> None:
    from mmattn.cli.checkpoints_page import render_checkpoints
    from mmattn.cli.zoo_page import measure_latency, render_zoo

    root = Path(__file__).resolve().parents[2]
    if not (root / 'docs').is_dir():
        raise UserError(f'{root} is no checkout of mmattn: it has no folder docs to write to')
    if args.measure:
        measure_latency(root)
    for name, render in (('zoo.md', render_zoo), ('checkpoints.md', render_checkpoints)):
        target = root / 'docs' / name
        target.write_text(render(root))
        print(target)
