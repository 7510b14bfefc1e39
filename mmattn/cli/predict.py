"""Predict the class of every pixel of images, folders, videos or a camera."""

import argparse
import sys

from mmattn.cli.arguments import add_cfg_options

KINDS = ('labels', 'color', 'overlay', 'panel', 'logits', 'json')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file the checkpoint was trained with')
    parser.add_argument(
        'checkpoint',
        help='checkpoint (.pth), exported file (.onnx, .xml, .pt2), or the name of a model of '
        'MMSegmentation',
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='image, folder (with all below it), pattern such as "photos/**/*.jpg", video, number '
        'of a camera, or - for a list of these on stdin, one in a line',
    )
    parser.add_argument(
        '--out', metavar='DIR', default='predictions', help='folder of the files (predictions)'
    )
    parser.add_argument(
        '--save',
        nargs='+',
        choices=KINDS,
        default=('labels', 'overlay'),
        help='what is written, each kind in a folder of its name: labels are index PNGs, logits '
        '.npy, json has the shares of area (labels overlay)',
    )
    parser.add_argument(
        '--opacity', type=float, default=0.5, help='of the colours in overlays, 0 to 1 (0.5)'
    )
    parser.add_argument('--tta', action='store_true', help='average over scales and flips')
    parser.add_argument('--device', help='such as cpu or cuda:1 (a GPU where there is one)')
    parser.add_argument(
        '--batch', type=int, default=1, help='images of one size that are predicted together (1)'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace existing files')
    parser.add_argument(
        '--no-optimize',
        action='store_false',
        dest='optimize',
        help='the model as mmattn test runs it, slower, to the last bit',
    )
    parser.add_argument(
        '--label-ids',
        action='store_true',
        help='write labels as the ids of Cityscapes, as its test server takes them',
    )
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import predict

    arguments = vars(args)
    arguments['inputs'] = list(_with_stdin(arguments['inputs']))
    result = predict(**arguments)
    counts = {'image': result.images, 'frame': result.frames}
    done = ' and '.join(f'{n} {what}{"s" * (n > 1)}' for what, n in counts.items() if n)
    print(f'{done or "nothing"} predicted ({", ".join(args.save)} in {args.out})')
    if result.unreadable:
        count = len(result.unreadable)
        print(f'{count} could not be read whole:', *result.unreadable, sep='\n  ', file=sys.stderr)
        sys.exit(1)


def _with_stdin(inputs: list[str]):
    for given in inputs:
        if given == '-':
            yield from filter(None, (line.rstrip('\r\n') for line in sys.stdin))
        else:
            yield given
