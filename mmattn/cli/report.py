"""Write the report of a study from the runs that are finished."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('study', help='study file, or the name of one in configs/studies')
    parser.add_argument('--work-dir', help='default: work_dirs/studies/<name of the study>')


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import report

    print(f'report: {report(**vars(args))}')
