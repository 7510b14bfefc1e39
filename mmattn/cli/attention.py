"""Draw what a trained model attends to in an image."""

import argparse

from mmattn.cli.arguments import add_cfg_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file the checkpoint was trained with')
    parser.add_argument(
        'checkpoint', help='checkpoint file (.pth), or the name of a model of MMSegmentation'
    )
    parser.add_argument('image', help='image file')
    parser.add_argument(
        '--point',
        dest='points',
        nargs='+',
        type=_point,
        default=[],
        metavar='X,Y',
        help='pixels of the image that ask, from its upper left corner (default: the middle)',
    )
    parser.add_argument(
        '--layer',
        dest='layers',
        nargs='+',
        default=[],
        metavar='NAME',
        help='attention modules of the model, such as decode_head.cca (default: all)',
    )
    parser.add_argument(
        '--compare',
        nargs='+',
        default=[],
        metavar='CHECKPOINT',
        help='more checkpoints of the config, drawn beside the first',
    )
    parser.add_argument(
        '--out', metavar='DIR', help='folder of the pictures (default: work_dirs/CONFIG/attention)'
    )
    parser.add_argument('--device', default='cpu', help='where to run it: cpu, cuda:0, ...')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import draw_attention

    print(draw_attention(**vars(args)))


def _point(text: str) -> tuple[int, int]:
    x, comma, y = text.partition(',')
    if not (comma and x.strip().isdecimal() and y.strip().isdecimal()):
        raise argparse.ArgumentTypeError(f'a point is X,Y in pixels, as in 40,90; got {text!r}')
    return int(x), int(y)
