"""What a run changes on the screen, and puts back."""

import atexit
import logging
from contextlib import ExitStack

from mmengine.logging import MMLogger

# How the messages begin that nobody at the screen needs; the log file has them.
_FOR_THE_FILE = (
    '\n-----',  # the environment
    'Config:\n',
    'Hooks will be executed',
    'Using env variable',
    'Distributed training is not used',
    'The prefix is not set in metric',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'Checkpoints will be saved to',
    'Load checkpoint from',
    'Exp name: ',
    'per class results:',
)

_CHANGES = ExitStack()
when_over = _CHANGES.callback  # takes what puts a change back
put_back = _CHANGES.close
atexit.register(put_back)  # for tools that are not ours and end in an error


def handlers(logger: logging.Logger) -> list[logging.StreamHandler]:
    """The handlers of a logger that print."""
    return [handler for handler in logger.handlers if type(handler) is logging.StreamHandler]


def make_readable(logger: MMLogger) -> None:
    """Let the screen have the time and the message, and leave long tables to the log file."""
    for handler in handlers(logger):
        handler.addFilter(_is_for_people)
        handler.formatter.info_format = '%(asctime)s  %(message)s'
        handler.formatter.datefmt = '%H:%M:%S'


def _is_for_people(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_FOR_THE_FILE)
