"""Train the model of a config."""

import argparse

from mmattn.cli.arguments import add_run_arguments
from mmattn.signals import stop_signals


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file, such as those under configs/')
    add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        metavar='CHECKPOINT',
        help='go on from a checkpoint; alone: from the latest in the work dir',
    )
    parser.add_argument(
        '--compile',
        action='store_true',
        help='torch.compile for the network; the first iteration takes minutes',
    )
    parser.add_argument(
        '--fsdp',
        action='store_true',
        help='each process keeps a part of the model and of the optimizer state; see '
        'docs/scaling.md',
    )
    parser.add_argument('--seed', type=int, metavar='N', help='random seed of the run')
    parser.add_argument(
        '--deterministic', action='store_true', help='deterministic algorithms; slower'
    )


def run(args: argparse.Namespace) -> None:
    with stop_signals():  # while it imports, and while it prints; training has its own
        from mmattn.apis import train
        from mmattn.apis.options import is_first_process

        result = train(**vars(args))
        if is_first_process(args.launcher):
            print(result)
