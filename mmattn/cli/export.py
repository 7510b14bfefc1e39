"""Write a trained network as ONNX, for OpenVINO, or as torch.export's pt2."""

import argparse
import sys

from mmattn.cli.arguments import add_cfg_options, parse_shape

# As in mmattn.apis.exporting, which needs torch.
FORMATS = ('onnx', 'openvino', 'pt2')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file the checkpoint was trained with')
    parser.add_argument('checkpoint', help='checkpoint file (.pth)')
    parser.add_argument('--format', choices=FORMATS, default='onnx', help='kind of file (onnx)')
    parser.add_argument(
        '--out', metavar='FILE', help='file to write (beside the checkpoint, with its name)'
    )
    parser.add_argument(
        '--shape',
        type=parse_shape,
        metavar='HxW',
        help='height and width of the images (windows, or what the test pipeline resizes to)',
    )
    parser.add_argument('--dynamic', action='store_true', help='images of all heights and widths')
    half = parser.add_mutually_exclusive_group()
    for option, precision in (('--fp16', 'float16'), ('--bf16', 'bfloat16')):
        half.add_argument(
            option,
            action='store_const',
            dest='precision',
            const=precision,
            default='float32',
            help=f'weights and arithmetic in {precision}',
        )
    half.add_argument(
        '--int8',
        nargs='+',
        metavar='IMAGE',
        dest='calibration',
        default=(),
        help='convolutions in 8-bit integers (onnx, openvino); the images tell the ranges of '
        'activations',
    )
    parser.add_argument(
        '--with-preprocessing',
        action='store_true',
        help='take images as OpenCV reads them (uint8, BGR) and normalise them in the file',
    )
    parser.add_argument(
        '--verify',
        nargs='+',
        metavar='IMAGE',
        default=(),
        help='write the file only if it predicts these images as the model does',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import export
    from mmattn.apis.exporting import MismatchError

    if args.calibration:
        args.precision = 'int8'
    try:
        print(export(**vars(args)))
    except MismatchError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(1)
