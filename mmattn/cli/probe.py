"""Train mechanisms on synthetic probes that show what each can carry."""

import argparse
import sys
from pathlib import Path

from mmattn.cli.arguments import add_import_argument
from mmattn.errors import UserError

_ROOT = Path(__file__).resolve().parents[2]
_RESULTS = Path('benchmarks/results/studies/probes.csv')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'mechanisms',
        nargs='*',
        metavar='MECHANISM',
        help='NonLocal, "CrissCross(recurrence=2)", or none; all where no one is named',
    )
    parser.add_argument('--probes', nargs='+', metavar='PROBE', help='all where no one is named')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='SEED')
    parser.add_argument('--steps', type=int, metavar='N', help='training steps (default: 400)')
    parser.add_argument(
        '--jobs', type=int, default=1, metavar='N', help='cells at a time, one core each'
    )
    add_import_argument(parser)
    parser.add_argument(
        '--results',
        type=Path,
        metavar='FILE',
        help=f'CSV file of finished cells, which are not repeated (in a checkout: {_RESULTS})',
    )
    parser.add_argument(
        '--report', action='store_true', help='train nothing; write the page and the picture'
    )


def run(args: argparse.Namespace) -> None:
    results = args.results or _default_results()
    if args.report:
        from mmattn.cli.probe_page import write_report

        in_docs = args.results is None and results.is_relative_to(_ROOT)
        for path in write_report(results, _ROOT / 'docs' if in_docs else None):
            print(path)
        return

    from mmattn.cli.probe_runs import run_cells

    try:
        run_cells(
            results,
            args.mechanisms,
            args.probes,
            seeds=args.seeds,
            steps=args.steps,
            imports=args.imports,
            jobs=args.jobs,
        )
    except KeyboardInterrupt:
        print(f'interrupted; the same command goes on from {results}', file=sys.stderr)
        sys.exit(130)


def _default_results() -> Path:
    if (_ROOT / 'docs').is_dir():
        return _ROOT / _RESULTS
    raise UserError(
        f'{_ROOT} is no checkout of mmattn; name a file for the results: --results probes.csv'
    )
