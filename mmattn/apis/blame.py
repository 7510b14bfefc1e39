"""Which override of the config is why a run cannot be built."""

import copy
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config

from mmattn.engine.runner import Runner, separate_run
from mmattn.errors import UserError, add_hint, first_line, is_of_libraries
from mmattn.preflight.config import load_config
from mmattn.preflight.model import look_at_model

# What a crash of the libraries looks like on a value that they did not expect.
_CRASHES = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, AssertionError)
_CRASHES += (RuntimeError,)


@contextmanager
def blame_options(config: str | Path, options: dict[str, Any] | None) -> Iterator[None]:
    """In the block of a run: a crash that one of the overrides causes is told as that override.

    Proved by trying again, in a folder that is removed: with the overrides the parts of a run
    cannot be built, or their first training step not be made, and without that one they can. Of
    two that are wrong, one is named that fails in the same way alone. Where code of the user took
    part, its traceback stays, with the override as a hint.
    """
    try:
        yield
    except UserError:
        raise
    except _CRASHES as error:
        culprit = _culprit(config, options or {}, error)
        if culprit is None:
            raise
        given = f'--cfg-options {culprit}={options[culprit]}'
        if is_of_libraries(error, skip=2):  # this function and its block
            raise UserError(
                f'{given} is why the run does not start: {first_line(error)}'
            ) from error
        add_hint(error, f'hint: {given} is why the run does not start')
        raise


def _culprit(config: str | Path, options: dict[str, Any], error: Exception) -> str | None:
    """The override without which a run can be started, or that alone fails in the same way."""
    if not options or torch.distributed.is_initialized():
        return None
    for attempt in (build, step):
        failed = _failure(attempt, config, options)
        if failed is None:
            continue
        if failed[0] is not type(error) or _failure(attempt, config, {}) is not None:
            return None
        for key in reversed(options):
            rest = {name: value for name, value in options.items() if name != key}
            if _failure(attempt, config, rest) is None:
                return key
        for key in reversed(options):
            if _failure(attempt, config, {key: options[key]}) == failed:
                return key
        return None
    return None


def _failure(
    attempt: Callable[[Config], None], config: str | Path, options: dict[str, Any]
) -> tuple[type, str] | None:
    """Type and words of what an attempt fails with; None where it succeeds."""
    try:
        with _silence(), separate_run(), TemporaryDirectory() as folder:
            cfg = load_config(config, copy.deepcopy(options))
            cfg.work_dir, cfg.launcher, cfg.resume, cfg.load_from = folder, 'none', False, None
            attempt(cfg)
    except Exception as error:  # whatever it is
        return type(error), str(error)
    return None


@contextmanager
def _silence() -> Iterator[None]:
    """Print nothing; the log of an attempt goes with its folder."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def build(cfg: Config) -> None:
    """Build the parts of a run that its config describes."""
    look_at_model(cfg)
    runner = Runner.from_cfg(cfg)
    for stage in ('train', 'val', 'test'):
        if cfg.get(f'{stage}_dataloader') is not None:
            getattr(runner, f'{stage}_loop')


def step(cfg: Config) -> None:
    """Make one step of training, if the config counts by iterations."""
    if cfg.get('train_dataloader') is None or 'max_iters' not in cfg.train_cfg:
        return
    cfg.train_cfg.update(max_iters=1, val_begin=2)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    Runner.from_cfg(cfg).train()
