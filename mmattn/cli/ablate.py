"""Train and test the variants of a study from several seeds, and report."""

import argparse
import sys
from typing import Any

from mmattn.cli.arguments import parse_value
from mmattn.errors import UserError
from mmattn.signals import stop_signals


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('study', help='study file, or the name of one in configs/studies')
    parser.add_argument('--seeds', nargs='+', type=int, metavar='SEED', help="default: the study's")
    parser.add_argument('--jobs', type=int, metavar='N', help='runs at a time, default 1')
    parser.add_argument('--launcher', choices=('local', 'slurm'), default='local')
    parser.add_argument(
        '--slurm-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='parameters of submitit: timeout_min=600 slurm_partition=gpu gpus_per_node=1',
    )
    parser.add_argument(
        '--resume', action='store_true', help='go on with an earlier start; repeats nothing done'
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision, as of train and test')
    parser.add_argument('--work-dir', help='default: work_dirs/studies/<name of the study>')
    parser.add_argument(
        '--append',
        metavar='FILE',
        help='CSV file that gets a row of each finished run as it ends, each once',
    )


def run(args: argparse.Namespace) -> None:
    options = dict(_option(text) for text in args.slurm_options)
    arguments = {key: value for key, value in vars(args).items() if key != 'slurm_options'}
    with stop_signals():
        from mmattn.apis import ablate, report
        from mmattn.studies import overview
        from mmattn.studies.runs import DONE, FAILED

        result = ablate(**arguments, launcher_options=options)
        failed = [run for run in result.runs if run.state()['state'] == FAILED]
        # On a terminal the table is there already, and what failed has not been told in words.
        print(*overview.lines(failed) if sys.stdout.isatty() else [result], sep='\n')
        states = set(result.states.values())
        if DONE in states:
            print(f'report: {report(args.study, work_dir=args.work_dir)}')
    sys.exit(_exit_code(states))


def _exit_code(states: set[str]) -> int:
    """What the command says of the states of its runs."""
    from mmattn.studies.runs import DONE, FAILED, STOPPED

    if states <= {DONE}:
        return 0
    return 75 if STOPPED in states and FAILED not in states else 1


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition('=')
    if not key or not equals:
        raise UserError(f'--slurm-options takes KEY=VALUE pairs, got {text!r}')
    return key, parse_value(key, value, '--slurm-options')
