"""Draw what a model sees of its data, after augmentation and padding."""

import argparse

from mmattn.cli.arguments import add_cfg_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default='train', help='which data (train)'
    )
    parser.add_argument('--count', type=int, default=12, metavar='N', help='how many images (12)')
    parser.add_argument(
        '--seed', type=int, default=0, help='of the order and the augmentations (0)'
    )
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='folder of the pictures (default: work_dirs/CONFIG/browse/SPLIT)',
    )
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import browse

    print(browse(**vars(args)))
