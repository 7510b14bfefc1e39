"""Prepare a data set: data/README.md says where to get each and shows the resulting trees."""

import argparse
import os
from pathlib import Path

from mmattn.errors import UserError

# name: (folder below the data root, what it does)
DATASETS = {
    'toy': ('toy', 'generate the toy scenes; nothing to download'),
    'camvid': (
        'camvid',
        'CamVid as published with SegNet (train, trainannot, ...): void becomes 255',
    ),
    'cityscapes': ('cityscapes', 'draw *_labelTrainIds.png from the polygons of gtFine'),
    'ade20k': ('ade', 'unpack and verify ADEChallengeData2016.zip'),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest='dataset', required=True)
    data = Path(os.environ.get('MMATTN_DATA', 'data'))
    for name, (folder, text) in DATASETS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            '--root',
            type=Path,
            default=data / folder,
            help='where to put it (default: %(default)s)',
        )
        if name == 'camvid':
            command.add_argument('--source', type=Path, required=True, help='what you downloaded')
        elif name != 'toy':
            command.add_argument(
                '--source', type=Path, help='what you downloaded, where it is not in ROOT already'
            )


def run(args: argparse.Namespace) -> None:
    from mmattn.datasets import generate_toy_scenes, prepare

    try:
        if args.dataset == 'toy':
            generate_toy_scenes(args.root)
        else:
            getattr(prepare, f'prepare_{args.dataset}')(args.source, args.root)
    except OSError as error:  # a full disk, a folder that is not writable
        raise UserError(str(error)) from error
