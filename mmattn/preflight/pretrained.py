"""Pretrained weights that a config asks for: there, or one line on what to do."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import CheckpointLoader
from mmseg.registry import MODELS
from torch import Tensor

from mmattn.errors import UserError

Shapes = dict[str, tuple[int, ...]]


def fetch_pretrained(cfg: Config, shapes: Shapes) -> list[str]:
    """Download (or find) the pretrained weights of a model; last of what is looked at.

    Args:
        cfg: The config.
        shapes: Shape of each entry of the model's state dict.

    Returns:
        A line for each source: what of the model it fills.

    Raises:
        UserError: Weights that cannot be had, or that fit nowhere; it names the override that
            trains from scratch.
    """
    lines = []
    for place, source, settings in _pretrained(cfg.model, 'model'):
        remedy = f'to train from scratch, add --cfg-options {place}=None'
        weights = _fetched(source, remedy)
        part = _filled(cfg.model, place)
        prefix = settings.get('prefix')
        if part is None or not isinstance(weights, dict):
            continue
        weights = _stripped(weights, f'{prefix}.' if prefix else '')
        expected = _stripped(shapes, part)
        if expected:
            lines.append(state_fit(f'pretrained weights {source}', weights, expected, remedy))
    return lines


def state_fit(name: str, weights: dict, shapes: Shapes, remedy: str) -> str:
    """How far weights that may fit in part do; mmengine loads what fits and only warns.

    Returns:
        One line for people.

    Raises:
        UserError: Nothing fits.
    """
    found = {
        key.removeprefix('module.'): tuple(value.shape)
        for key, value in weights.items()
        if isinstance(value, Tensor)
    }
    expected = {key: shape for key, shape in shapes.items() if 'num_batches_tracked' not in key}
    fitting = [key for key, shape in expected.items() if found.get(key) == shape]
    if not fitting:
        raise UserError(
            f'{name}: none of its {len(found)} entries fits the model, such as '
            f'{next(iter(found), "none")}; the model has {next(iter(expected))}. Training would '
            f'begin with random weights: name others; {remedy}'
        )
    kinds = {
        'of another shape': [
            key for key in expected if found.get(key, expected[key]) != expected[key]
        ],
        'not in it': [key for key in expected if key not in found],
    }
    rest = [f'{_some(keys)} ({kind})' for kind, keys in kinds.items() if keys]
    unused = len([key for key in found if key not in shapes])
    return (
        f'{name}: fills {len(fitting)} of {len(expected)} entries of the model'
        + (f'; new are {", ".join(rest)}' if rest else '')
        + (f'; {unused} of its own are not used' if unused else '')
    )


def _some(keys: list[str]) -> str:
    return ', '.join(keys[:2]) + (f' and {len(keys) - 2} more' if len(keys) > 2 else '')


def _fetched(source: str, remedy: str) -> Any:
    """The weights of a source, without what surrounds them in a checkpoint."""
    try:
        weights = CheckpointLoader.load_checkpoint(source, map_location='cpu', logger='silent')
    except (OSError, ImportError, KeyError, UserError) as error:
        reason = 'no such name' if isinstance(error, KeyError) else error
        raise UserError(
            f'the pretrained weights {source} cannot be fetched ({reason}); {remedy}'
        ) from error
    return weights.get('state_dict', weights) if isinstance(weights, dict) else weights


def _filled(model: dict, place: str) -> str | None:
    """The prefix of the entries that the weights named at a place fill.

    None where a module loads them in a way of its own, such as under other names.
    """
    path = place.split('.')[1:-1]  # without `model` and `init_cfg` or `pretrained`
    if not path and place.endswith('.pretrained'):
        path = ['backbone']  # where mmseg's segmentors pass it on to
    settings = model
    for key in path:
        settings = settings[int(key) if isinstance(settings, list) else key]
    kind = settings.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if getattr(kind, 'init_weights', None) is not BaseModule.init_weights:
        return None
    return ''.join(f'{key}.' for key in path)


def _stripped(entries: dict, prefix: str) -> dict:
    return {
        key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)
    }


def drop_pretrained(cfg: Config) -> None:
    """Forget the pretrained weights, for runs whose weights all come from a checkpoint."""
    cfg.merge_from_dict({place: None for place, *_ in _pretrained(cfg.model, 'model')})


def _pretrained(node: Any, place: str) -> Iterator[tuple[str, str, dict]]:
    """(key that switches it off, source, settings) of each place that names pretrained weights."""
    if isinstance(node, dict):
        if node.get('type') == 'Pretrained' and node.get('checkpoint'):
            yield place, node['checkpoint'], node
        if isinstance(node.get('pretrained'), str):
            yield f'{place}.pretrained', node['pretrained'], {}
        for key, value in node.items():
            yield from _pretrained(value, f'{place}.{key}')
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _pretrained(value, f'{place}.{index}')
