"""Train a model: python tools/train.py CONFIG."""

import argparse

from mmattn import cli


def main() -> None:
    parser = argparse.ArgumentParser(description='Train the model of a config.')
    parser.add_argument('config', help='config file, such as those under configs/')
    cli.add_common_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        metavar='CHECKPOINT',
        help='go on from a checkpoint; alone: from the latest in the work dir',
    )
    parser.add_argument('--seed', type=int, metavar='N', help='random seed of the run')
    parser.add_argument(
        '--deterministic', action='store_true', help='deterministic algorithms; slower'
    )
    parser.add_argument(
        '--check-data',
        choices=('sample', 'full', 'off'),
        default='sample',
        help='look at some label files first, at all, or at none',
    )
    args = vars(parser.parse_args())
    del args['local_rank']

    from mmattn.apis import train
    from mmattn.apis.preflight import is_first_process

    result = train(args.pop('config'), **args)
    if is_first_process(args['launcher']):
        print(result)


if __name__ == '__main__':
    cli.run(main)
