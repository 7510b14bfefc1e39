"""Whose mistake it is: the user's, who can mend it, or code's, whose traceback must be seen."""

import linecache
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

# Code that a config configures. What it refuses on purpose, the config made it refuse.
_LIBRARIES = {'mmattn', 'mmcv', 'mmengine', 'mmseg', 'torch', 'numpy', 'PIL', 'cv2'}
_LIBRARIES |= set(sys.stdlib_module_names)
_HINT = (
    'hint: this happened while mmattn built what the config describes. Where the last lines above '
    'are in a module of yours, look there; else at the settings of what was being built'
)
_BINDING = re.compile(r'unexpected keyword argument|missing \d+ required|takes .* positional arg')


class UserError(ValueError):
    """A foreseeable mistake in a config, a data set, a checkpoint or an argument.

    The message names what is wrong, what was expected and how to mend it. The commands print it
    without a traceback and exit with code 2.
    """


class DivergedError(RuntimeError):
    """A training whose loss, gradients or weights are no numbers any more.

    The message names the iteration, the files of its batch and the checkpoint to go back to. The
    commands print it without a traceback and exit with code 3.
    """


def add_hint(error: BaseException, hint: str) -> None:
    """Have ``hint`` printed after the traceback of ``error`` (by Python itself from 3.11 on)."""
    notes = getattr(error, '__notes__', [])
    if hint not in notes:
        error.__notes__ = [*notes, hint]


@contextmanager
def explain_settings() -> Iterator[None]:
    """Tell impossible settings from bugs, in a block that builds what a config describes.

    What the libraries refuse on purpose becomes a UserError. Everything else, and all that passes
    through code of the user, keeps its traceback, with a hint after it.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_refusal(error):
            raise UserError(f'a setting of the config is wrong: {first_line(error)}') from error
        file = error.filename if isinstance(error, FileNotFoundError) else None
        if file and is_of_libraries(error, skip=2):
            raise UserError(
                f'a setting of the config names the file {file}, which is not there'
            ) from error
        add_hint(error, _HINT)
        raise


def is_refusal(error: Exception) -> bool:
    """True where a library raised ``error`` on purpose, and no code of the user took part.

    On purpose: by a statement ``raise`` or ``assert``, or because a call does not have the
    arguments that it is given. The error that it was raised from is looked at as well. The frames
    of `explain_settings` and of its block do not count.
    """
    frames = list(_frames(error.__traceback__))[2:]
    if not frames or not is_of_libraries(error, skip=2):
        return False
    last = frames[-1]
    line = linecache.getline(last.tb_frame.f_code.co_filename, last.tb_lineno).strip()
    if isinstance(error, AssertionError):
        return line.startswith('assert')
    if isinstance(error, TypeError) and _BINDING.search(str(error)):
        return True
    return line.startswith('raise ')


def passes_modules_of_the_user(error: BaseException) -> bool:
    """True where a module that is none of the libraries took part; config files are no modules."""
    return any(_package(trace) not in {*_LIBRARIES, ''} for trace in _frames(error.__traceback__))


def place_in_config(error: BaseException) -> str:
    """` (file, line 3)` of the config file that raised ``error``, or nothing."""
    traces = [trace for trace in _frames(error.__traceback__) if not _package(trace)]
    if not traces:
        return ''
    return f' ({traces[-1].tb_frame.f_code.co_filename}, line {traces[-1].tb_lineno})'


def is_of_libraries(error: BaseException, without: str = '', skip: int = 0) -> bool:
    """True where neither ``error`` nor the one it was raised from passed through code of the user.

    Args:
        error: As it was caught.
        without: A module of a library whose code, too, leaves open whose mistake it is.
        skip: Number of outermost frames that do not count.
    """
    earlier = error.__cause__ or error.__context__
    traces = list(_frames(error.__traceback__))[skip:]
    traces += _frames(earlier.__traceback__ if earlier else None)
    names = [trace.tb_frame.f_globals.get('__name__', '') for trace in traces]
    return all(
        name.partition('.')[0] in _LIBRARIES and not (without and name.startswith(without))
        for name in names
    )


def worker_reason(error: UserError) -> str | None:
    """The words of a UserError that a worker of a data loader met; None for any other.

    torch hands such an error on as one of the same type whose text is the traceback.
    """
    caught, _, text = str(error).partition('\n')
    if not re.fullmatch(r'Caught \w+ in DataLoader worker process \d+\.', caught):
        return None
    return text.rstrip().rpartition('UserError: ')[2]


@contextmanager
def explain_workers() -> Iterator[None]:
    """In a block that reads data: what a worker refused is told as if there were no worker."""
    try:
        yield
    except UserError as error:
        if (reason := worker_reason(error)) is None:
            raise
        raise UserError(reason) from None


def first_line(error: BaseException) -> str:
    """Type and reason of an error in one line; an assertion without words gives its place."""
    lines = str(error).strip().splitlines()
    if lines:
        return f'{type(error).__name__}: {lines[0]}'
    *_, last = _frames(error.__traceback__)
    code = last.tb_frame.f_code
    line = linecache.getline(code.co_filename, last.tb_lineno).strip()
    return f'{type(error).__name__} at {code.co_filename}:{last.tb_lineno}: {line}'


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        # contextlib's own frame stands between a block and its context manager.
        if _package(trace) != 'contextlib':
            yield trace
        trace = trace.tb_next


def _package(trace: TracebackType) -> str:
    return (trace.tb_frame.f_globals.get('__name__') or '').partition('.')[0]
