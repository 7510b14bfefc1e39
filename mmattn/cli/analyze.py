"""Draw the curves of trainings, and what is wrong in predictions, on one page."""

import argparse

from mmattn.cli.arguments import add_cfg_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'paths',
        nargs='+',
        metavar='FOLDER',
        help='work dir of a training, or folder of predictions that `mmattn test --out` wrote',
    )
    parser.add_argument(
        '--config', help='config of the test data (default: the one that the predictions name)'
    )
    parser.add_argument(
        '--out', metavar='DIR', default='analysis', help='folder of the page (analysis)'
    )
    parser.add_argument(
        '--images', type=int, default=4, metavar='N', help='best and worst images to draw (4)'
    )
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import analyze

    print(analyze(**vars(args)))
