"""The console command `mmattn`: one file for each of its commands.

Nothing heavy is imported before a command runs: `--help` must not wait for torch. A command is a
module with `add_arguments(parser)` and `run(args)`, whose docstring begins with what it does.
"""

import argparse
import os
import select
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from mmattn import __version__
from mmattn.errors import DivergedError, UserError
from mmattn.files import is_disk_full

EXIT_CODES = (
    'exit codes: 0 done; 1 an error in code, or of the machine, or images that cannot be read, or '
    'an export that predicts otherwise; 2 a mistake in the arguments, the config or the data; 3 '
    'training diverged (NaN); 75 ended by SIGTERM or SIGHUP, with a checkpoint: start again with '
    '--resume; 130 ended by Ctrl+C, likewise'
)
# Each is a module of this package.
COMMANDS = (
    'train',
    'test',
    'predict',
    'tune',
    'demo',
    'attention',
    'ablate',
    'report',
    'prepare',
    'check',
    'browse',
    'analyze',
    'cost',
    'benchmark',
    'probe',
    'convert',
    'export',
    'zoo',
)

# What is done after Ctrl+C, where that is more than to start again.
AFTER_INTERRUPT = {
    'train': '; a training goes on with --resume',
    'ablate': '; a training goes on with --resume',
    'predict': '; --overwrite replaces the files that it has written',
}


def main(argv: Sequence[str] | None = None) -> None:
    """`mmattn COMMAND ...`."""
    parser = argparse.ArgumentParser(
        prog='mmattn', description='Attention for MMSegmentation.', epilog=EXIT_CODES
    )
    parser.add_argument('--version', action='version', version=f'mmattn {__version__}')
    subparsers = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name in COMMANDS:
        module = _module(name)
        summary = _summary(module)
        command = subparsers.add_parser(name, help=summary, description=summary, epilog=EXIT_CODES)
        module.add_arguments(command)
    _run(parser, argv)


def run_tool(command: str) -> None:
    """A script of `tools/`: the arguments of one command, without its name."""
    parser = argparse.ArgumentParser(description=_summary(_module(command)), epilog=EXIT_CODES)
    _module(command).add_arguments(parser)
    parser.set_defaults(command=command)
    _run(parser)


def _module(command: str):
    return import_module(f'mmattn.cli.{command}')


def _summary(module) -> str:
    return module.__doc__.partition('\n')[0]


def _nobody_reads() -> bool:
    """Whether what took the output, such as head, has gone."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> None:
    """Run a command: mistakes of the user end in one line on stderr and exit code 2."""
    command = ''
    try:
        args = parser.parse_args(argv)
        command = vars(args).pop('command')
        _module(command).run(args)
        sys.stdout.flush()  # the interpreter would tell its failure in a way of its own
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except DivergedError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        print(f'interrupted{AFTER_INTERRUPT.get(command, "")}', file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())  # for what is still to be flushed
            return
        if is_disk_full(error):
            print(f'error: the disk is full: {error.strerror or error}', file=sys.stderr)
            sys.exit(1)
        if sys.version_info >= (3, 11):
            raise
        traceback.print_exc()  # older ones do not print the hints of an error themselves
        print('\n'.join(getattr(error, '__notes__', ())), file=sys.stderr)
        sys.exit(1)
