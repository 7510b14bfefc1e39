"""Evaluate a checkpoint on the test data of a config."""

import argparse

from mmattn.cli.arguments import add_run_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file the checkpoint was trained with')
    parser.add_argument(
        'checkpoint',
        help='checkpoint (.pth), exported file (.onnx, .xml, .pt2), or the name of a model of '
        'MMSegmentation',
    )
    add_run_arguments(parser)
    parser.add_argument(
        '--out', metavar='DIR', help='write predictions (index PNGs) and metrics.json'
    )
    parser.add_argument(
        '--show-dir', metavar='DIR', help='write pictures: image | ground truth | prediction'
    )
    parser.add_argument(
        '--optimize',
        action='store_true',
        help='a faster model: fused, in half precision where the device has it, checked on the '
        'first images',
    )
    parser.add_argument('--tta', action='store_true', help='average over scales and flips')


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import test
    from mmattn.apis.options import is_first_process

    metrics = test(**vars(args))
    if is_first_process(args.launcher):
        results = ', '.join(f'{name} {value:.2f}' for name, value in metrics.items())
        results = results or 'no metric, as the images have no labels'
        files = ' and '.join(folder for folder in (args.out, args.show_dir) if folder)
        print(results + (f' (files in {files})' if files else ''))
