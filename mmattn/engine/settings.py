"""Settings of hooks and loops that mmengine does not look at before it needs them."""

import inspect
from collections.abc import Iterable
from difflib import get_close_matches

from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmattn.engine.sharding import ShardedDataParallel
from mmattn.errors import UserError


def check_settings(runner: Runner) -> None:
    """Raise UserError for intervals that are none, misspelt settings of checkpoints, and EMA of a
    model that is shared out."""
    _check_intervals(runner)
    if isinstance(runner.model, ShardedDataParallel) and hooks_of(runner, EMAHook):
        raise UserError(
            'EMAHook averages whole weights, of which a process has a part with --fsdp: leave '
            'either out'
        )
    for hook in hooks_of(runner, CheckpointHook):
        # Whatever it does not know it passes on, and only saving refuses it.
        check_names('default_hooks.checkpoint', hook.args, _settings(hook), 'setting')
        if not isinstance(hook.max_keep_ckpts, int):
            raise UserError(
                f'default_hooks.checkpoint.max_keep_ckpts is {hook.max_keep_ckpts!r}, which is no '
                'whole number'
            )


def _check_intervals(runner: Runner) -> None:
    intervals = {f'{type(hook).__name__}.interval': hook for hook in hooks_of(runner, Hook)}
    for place, hook in intervals.items():
        if not isinstance(getattr(hook, 'interval', 1), int):
            raise UserError(f'{place} is {hook.interval!r}, which is no whole number')
    loop = runner.train_loop
    length = 'max_epochs' if isinstance(loop, EpochBasedTrainLoop) else 'max_iters'
    if not getattr(loop, length, 1) >= 1:
        raise UserError(
            f'train_cfg.{length} is {getattr(loop, length)}: training takes one step at least'
        )
    for interval in [loop.val_interval, *getattr(loop, 'dynamic_intervals', [])]:
        if not isinstance(interval, int | float) or interval <= 0:
            raise UserError(
                f'train_cfg.val_interval is {interval!r}; it counts the iterations from one '
                'validation to the next, from 1 on. For none at all, set val_begin beyond max_iters'
            )


def _settings(hook: Hook) -> set[str]:
    """The arguments that the class of a hook, or one that it derives from, names."""
    kinds = (kind for kind in type(hook).__mro__ if '__init__' in vars(kind))
    names = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
    return names - {'self', 'args', 'kwargs'}


def check_names(
    place: str, names: Iterable[str], known: Iterable[str], what: str = 'metric'
) -> None:
    """Raise UserError for a name that is not known; it names those that are."""
    for name in names:
        if name not in known:
            lower = {each.lower(): each for each in known}
            close = get_close_matches(name.lower(), lower, 1)
            meant = f'did you mean {lower[close[0]]}? ' if close else ''
            raise UserError(
                f'{place}: there is no {what} {name!r}; {meant}Known: {", ".join(sorted(known))}'
            )


def hooks_of(runner: Runner, kind: type) -> list:
    """The hooks of a run that are of a kind."""
    return [hook for hook in runner.hooks if isinstance(hook, kind)]
