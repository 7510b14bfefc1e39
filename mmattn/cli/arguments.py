"""Arguments that several commands share."""

import argparse
import os


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """What train and test have in common, named as in MMSegmentation's tools."""
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
    parser.add_argument(
        '--verbose', action='store_true', help='print the whole log, which else goes to its file'
    )
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    # torchrun sets LOCAL_RANK; the older torch.distributed.launch passes it in either spelling.
    parser.add_argument(
        '--local_rank', '--local-rank', action=_SetLocalRank, type=int, help=argparse.SUPPRESS
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


class _SetLocalRank(argparse.Action):
    """Keeps the rank where mmengine looks for it, and no argument of that name."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **{**kwargs, 'default': argparse.SUPPRESS})

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        os.environ.setdefault('LOCAL_RANK', str(values))
