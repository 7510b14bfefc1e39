"""Evaluate a checkpoint: python tools/test.py CONFIG CHECKPOINT."""

import argparse

from mmattn import cli


def main() -> None:
    parser = argparse.ArgumentParser(description='Evaluate a checkpoint on the test data.')
    parser.add_argument('config', help='config file the checkpoint was trained with')
    parser.add_argument('checkpoint', help='checkpoint file (.pth)')
    cli.add_common_arguments(parser)
    parser.add_argument(
        '--out', metavar='DIR', help='write predictions (index PNGs) and metrics.json'
    )
    parser.add_argument(
        '--show-dir', metavar='DIR', help='write pictures: image | ground truth | prediction'
    )
    parser.add_argument('--tta', action='store_true', help='average over scales and flips')
    args = vars(parser.parse_args())
    del args['local_rank']

    from mmattn.apis import test
    from mmattn.apis.preflight import is_first_process

    metrics = test(args.pop('config'), args.pop('checkpoint'), **args)
    if is_first_process(args['launcher']):
        results = ', '.join(f'{name} {value:.2f}' for name, value in metrics.items())
        results = results or 'no metric, as the images have no labels'
        files = ' and '.join(args[key] for key in ('out', 'show_dir') if args[key])
        print(results + (f' (files in {files})' if files else ''))


if __name__ == '__main__':
    cli.run(main)
