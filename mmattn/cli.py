"""What the command-line tools share. Imports nothing heavy: `--help` must not wait for torch."""

import argparse
import os
import sys
from collections.abc import Callable

from mmattn.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Run a tool: mistakes of the user end in one line on stderr and exit code 2."""
    try:
        main()
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted; train.py goes on with --resume', file=sys.stderr)
        sys.exit(130)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that train.py and test.py have in common, named as in MMSegmentation."""
    parser.add_argument('--work-dir', help='folder of what the run writes')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: bfloat16 on the CPU, float16 on GPUs',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_ConfigOptions,
        metavar='KEY=VALUE',
        help='override the config: model.backbone.depth=50 key="[a,b]"',
    )
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    # torchrun sets LOCAL_RANK; the older torch.distributed.launch passes it in either spelling.
    parser.add_argument(
        '--local_rank', '--local-rank', type=_set_local_rank, help=argparse.SUPPRESS
    )


class _ConfigOptions(argparse.Action):
    """mmengine's parser of KEY=VALUE, imported when there is something to parse."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string} takes KEY=VALUE pairs, got {value!r}')
        from mmattn.compat import require_stack

        require_stack()
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest)(parser, namespace, values, option_string)


def _set_local_rank(value: str) -> int:
    return int(os.environ.setdefault('LOCAL_RANK', value))
