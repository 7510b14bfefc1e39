"""Look at the data sets of a config: files, sizes, classes, duplicates."""

import argparse
import sys

from mmattn.cli.arguments import add_cfg_options
from mmattn.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--full', action='store_true', help='decode all images and labels, not 32 of a data set'
    )
    parser.add_argument('--picture', metavar='PNG', help='draw the share of each class')
    add_cfg_options(parser)
    parser.epilog = (
        'exit codes: 0 nothing to say; 1 something deserves a look; 2 a training would refuse it'
    )


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import check
    from mmattn.preflight.data_sets import WrongFilesError

    try:
        report = check(**vars(args))
    except WrongFilesError as wrong:
        for error in wrong.errors:
            print(error)
        raise UserError(f'files that are wrong: {len(wrong.errors)}') from wrong
    print(report)
    if report.warnings:
        sys.exit(1)
