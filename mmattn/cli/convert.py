"""Convert weights of the original repositories, torchvision and timm."""

import argparse

from mmattn.cli.arguments import add_cfg_options

# As in mmattn.apis.layouts, which needs torch.
SOURCES = ('mmseg', 'danet', 'ccnet', 'ann', 'hrnet-ocr', 'flanet', 'torchvision', 'timm')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('file', metavar='IN', help='file of weights that torch.save wrote')
    parser.add_argument('out', metavar='OUT', help='checkpoint to write (.pth)')
    parser.add_argument(
        '--from', dest='source', choices=SOURCES, required=True, help='where the weights come from'
    )
    parser.add_argument(
        '--config', help='config whose model the weights must fill; else nothing is written'
    )
    add_cfg_options(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace OUT if it exists')


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import convert

    print(convert(**vars(args)))
