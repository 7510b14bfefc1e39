"""Going on from a checkpoint with changed settings: which of them have an effect?

The optimizer's and the schedulers' settings come out of the checkpoint with their state, whatever
the config says; mmengine does not tell.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmattn.errors import UserError

# What of a config decides on a training; paths and logs do not.
_COMPARED = (
    *('model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'),
    *('randomness', 'auto_scale_lr', 'val_dataloader', 'val_evaluator'),
)
_WITHOUT_EFFECT = ('init_cfg', 'pretrained')  # all weights come from the checkpoint
_MAX_LINES = 20
_MAX_TEXT = 1_000_000  # characters of a config


def check_training_state(path: str | Path, checkpoint: dict, cfg: Config) -> None:
    """Raise UserError unless a checkpoint has what it takes to go on training with a config."""
    parts = {key: checkpoint.get(key) for key in ('optimizer', 'message_hub', 'meta')}
    if parts['optimizer'] is None or parts['message_hub'] is None:
        raise UserError(
            f'checkpoint {path} cannot be resumed: it holds weights only, not the state of the '
            'optimizer. Resume from an iter_*.pth, or start a new run from these weights with '
            f'--cfg-options load_from={path}'
        )
    meta = parts['meta'] if isinstance(parts['meta'], dict) else {}
    if not all(isinstance(part, dict) for part in parts.values()) or not all(
        isinstance(meta.get(key), int) and meta[key] >= 0 for key in ('iter', 'epoch')
    ):
        raise UserError(
            f'checkpoint {path} cannot be resumed: it does not say at which iteration it was '
            'written. Resume from an iter_*.pth of a training run'
        )
    before = (settings_in(checkpoint).get('optim_wrapper') or {}).get('optimizer') or {}
    now = (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    kinds = [str(optimizer.get('type')) for optimizer in (before, now)]
    if before.get('type') and now.get('type') and kinds[0] != kinds[1]:
        raise UserError(
            f'checkpoint {path} cannot be resumed with this optimizer: it holds the state of '
            f'{kinds[0]}, the config has {kinds[1]}. Go on with {kinds[0]}, or start a new run '
            f'from these weights with --cfg-options load_from={path}'
        )


def changed_settings(checkpoint: dict, cfg: Config) -> str:
    """One line for each setting that differs from the checkpoint's run: has it an effect?"""
    sections = {key: value for key, value in settings_in(checkpoint).items() if key in _COMPARED}
    before = dict(_leaves(sections))
    now = dict(_leaves({key: _plain(cfg.get(key)) for key in sections}))
    lines = [
        _line(place, before.get(place), now.get(place), _is_kept(place, checkpoint))
        for place in dict.fromkeys([*before, *now])
        if before.get(place) != now.get(place)
        and not any(part in _WITHOUT_EFFECT for part in place.split('.'))
    ]
    more = [f'and {len(lines) - _MAX_LINES} changed settings more'][: len(lines) > _MAX_LINES]
    return '\n'.join(lines[:_MAX_LINES] + more)


def _is_kept(place: str, checkpoint: dict) -> bool:
    """Whether a setting is part of the state that the checkpoint brings."""
    *_, name = place.split('.')
    if place.startswith('optim_wrapper.optimizer.'):
        return any(name in group for group in checkpoint['optimizer'].get('param_groups', []))
    if found := re.fullmatch(r'param_scheduler\.(?:(\d+)\.)?\w+', place):
        states = checkpoint.get('param_schedulers') or []
        index = int(found[1] or 0)
        return index < len(states) and name in states[index]
    return place == 'randomness.seed'


def _line(place: str, before: Any, now: Any, kept: bool) -> str:
    was, is_now = ('not set' if value is None else repr(value) for value in (before, now))
    if kept:
        return (
            f'changed, without effect: {place} is {is_now} now, but the checkpoint goes on with '
            f'its own ({was}); for another start a new run with load_from'
        )
    return f'changed, takes effect: {place}, {was} before, {is_now} now'


def settings_in(checkpoint: dict) -> dict[str, Any]:
    """The config that mmengine put into a checkpoint as text; read, not executed.

    Returns:
        Its settings; those that are more than constants, lists and dictionaries are left out.
    """
    meta = checkpoint.get('meta')
    text = meta.get('cfg') if isinstance(meta, dict) else None
    settings = {}
    try:
        statements = ast.parse(text).body if isinstance(text, str) and len(text) < _MAX_TEXT else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                try:
                    settings[name] = _constant(value)
                except (ValueError, RecursionError):
                    continue
    return settings


def _constant(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords):
            return {keyword.arg: _constant(keyword.value) for keyword in keywords if keyword.arg}
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return {ast.literal_eval(key): _constant(value) for key, value in pairs if key}
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_constant(element) for element in elements]
        case _:
            return ast.literal_eval(node)


def _leaves(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """(place, value) of each setting; lists without dictionaries are one value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f'{place}.{key}' if place else str(key))
    elif isinstance(node, list) and any(isinstance(value, dict) for value in node):
        for index, value in enumerate(node):
            yield from _leaves(value, f'{place}.{index}')
    elif node is not None:  # as good as not there
        yield place, node


def _plain(node: Any) -> Any:
    """With lists for tuples, which the text of a config does not keep apart everywhere."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(value) for value in node] if isinstance(node, list | tuple) else node
