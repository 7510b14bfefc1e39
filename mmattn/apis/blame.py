"""Which override of the config is why a run cannot be built."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    cannot be built, or their first training step not be made, and without that one they can. Where
    code of the user took part, its traceback stays, with the override as a hint.
    """
    try:
        yield
    except UserError:
        raise
    except _CRASHES as error:
        culprit = _culprit(config, options or {})
        if culprit is None:
            raise
        given = f'--cfg-options {culprit}={options[culprit]}'
        if is_of_libraries(error):
            raise UserError(
                f'{given} cannot be: {first_line(error)}. Without it the run starts'
            ) from error
        add_hint(error, f'hint: without {given} the run starts')
        raise


def _culprit(config: str | Path, options: dict[str, Any]) -> str | None:
    """The override without which a run can be started, and with which it cannot."""
    if not options or torch.distributed.is_initialized():
        return None
    for attempt in (build, step):
        if _fails(attempt, config, options):
            for key in reversed(options):
                rest = {name: value for name, value in options.items() if name != key}
                if not _fails(attempt, config, rest):
                    return key
            return None
    return None


def _fails(attempt: Callable[[Config], None], config: str | Path, options: dict[str, Any]) -> bool:
    try:
        with separate_run(), TemporaryDirectory() as folder:
            cfg = load_config(config, copy.deepcopy(options))
            cfg.work_dir, cfg.launcher, cfg.resume, cfg.load_from = folder, 'none', False, None
            attempt(cfg)
    except Exception:  # whatever it is
        return True
    return False


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
