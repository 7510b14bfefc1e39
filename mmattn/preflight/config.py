"""Reading a config, and telling what is wrong with it before any time is spent."""

import copy
import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mmengine.registry
import mmseg.registry
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

import mmattn
from mmattn.errors import (
    UserError,
    add_hint,
    explain_settings,
    first_line,
    passes_modules_of_the_user,
    place_in_config,
)

_PACKAGE = Path(mmattn.__file__).resolve().parent
# Beside the package in a checkout, inside it (as in other OpenMMLab packages) when installed.
_BESIDE = _PACKAGE.parent / 'configs'
CONFIGS = _BESIDE if _BESIDE.is_dir() else _PACKAGE / '.mim' / 'configs'
_NO_CONFIGS = {'_base_', 'studies'}  # folders of parts of configs, and of questions
# What a run reads from a config; all else at its top level is a variable of the config file.
READ_BY_RUNS = {
    *inspect.signature(Runner).parameters,
    *('find_unused_parameters', 'model_wrapper_cfg', 'sync_bn', 'tta_model', 'tta_pipeline'),
    *('activation_checkpointing', 'compile', 'efficient_conv_bn_eval'),
    *('custom_imports', 'verbose'),
} - {'cfg'}


# Settings that are dicts wherever they are read.
_MAPPINGS = {'model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper'}
_MAPPINGS |= {'default_hooks', 'custom_imports', 'env_cfg', 'randomness', 'train_cfg'}


SEEDS = 2**32  # numpy takes whole numbers below it


def check_seed(seed: int) -> None:
    """Raise UserError for a seed that random generators do not take."""
    if not 0 <= seed < SEEDS:
        raise UserError(f'the seed is {seed}: it must be a whole number from 0 to {SEEDS - 1}')


def load_config(path: str | Path, cfg_options: dict[str, Any] | None = None) -> Config:
    """Read a config file, apply the options, and check every registered name in it.

    Args:
        path: A file, or the name that one of mmattn's own configs has under `configs/`.
        cfg_options: Overrides, dotted key to value.

    Raises:
        UserError: File not found (with the nearest names), not readable, an option without effect,
            a module of `custom_imports` that is not there, or a `type` that no registry knows (with
            its place in the config and the nearest names).
    """
    file = _find(Path(path))
    try:
        cfg = Config.fromfile(file, import_custom_modules=False)
    except Exception as error:  # a config is code: anything can happen in it
        if passes_modules_of_the_user(error):
            add_hint(error, f'hint: this happened while the config {path} was read')
            raise
        where = place_in_config(error)
        raise UserError(f'config {path} cannot be read{where}: {first_line(error)}') from error
    if cfg_options:
        _merge(cfg, cfg_options)
    if cfg.get('custom_imports'):
        with explain_settings():
            _import_modules(cfg.custom_imports)
    # An earlier run in this process may have left another one.
    cfg.setdefault('default_scope', 'mmseg')  # mmengine's runner would take its own
    init_default_scope(cfg.default_scope)
    _check_types(cfg)
    return cfg


def _find(path: Path) -> Path:
    """The file of a config: as named, or the one of ours that is installed under that name."""
    ours = CONFIGS / Path(*path.parts[path.parts[:1] == ('configs',) :])
    for file in (path, ours):
        if file.is_file():
            return file
    raise UserError(f'config {path} not found{_hint(_similar_configs(path))}')


def _import_modules(custom_imports: dict[str, Any]) -> None:
    """Import what ``custom_imports`` names; a bug inside such a module keeps its traceback."""
    try:
        import_modules_from_strings(**custom_imports)
    except ImportError as error:
        missing = getattr(error.__context__, 'name', None)
        names = custom_imports['imports']
        names = [names] if isinstance(names, str) else names
        if not any(name == missing or name.startswith(f'{missing}.') for name in names):
            raise
        raise UserError(
            f'custom_imports names the module {missing!r}, which Python does not find: put the '
            'folder of its file into PYTHONPATH, as in PYTHONPATH=mine python tools/train.py ...'
        ) from error


def require_keys(cfg: Config, path: str | Path, *keys: str) -> None:
    """Raise UserError unless the config has these keys, as those that only others build on lack."""
    missing = [key for key in keys if key not in cfg]
    if missing:
        raise UserError(
            f'config {path} has no {" and no ".join(missing)}: it is a base that others build '
            'on. Give a whole config, such as those in the folders beside configs/_base_'
        )


def num_classes(cfg: Config) -> int | None:
    """Number of classes of the (last) decode head; None for models that have no such head."""
    head = cfg.model.get('decode_head') or {}
    head = head[-1] if isinstance(head, list | tuple) else head
    return head.get('num_classes')


def heads_of(model: dict) -> Iterator[tuple[str, dict]]:
    """The settings of the heads of a model, with their places in the config."""
    for key in ('decode_head', 'auxiliary_head'):
        heads = model.get(key) or []
        several = isinstance(heads, list | tuple)
        for index, head in enumerate(heads if several else [heads]):
            yield (f'model.{key}.{index}' if several else f'model.{key}'), head


def _similar_configs(path: Path) -> list[str]:
    root = Path('configs') if Path('configs').is_dir() else CONFIGS
    names = {
        file.stem: str(file)
        for file in root.rglob('*.py')
        if _NO_CONFIGS.isdisjoint(file.relative_to(root).parts)
    }
    return [names[stem] for stem in get_close_matches(path.stem, names, n=3, cutoff=0.5)]


def _merge(cfg: Config, options: dict[str, Any]) -> None:
    for key in options:
        top = key.split('.')[0]
        if top not in READ_BY_RUNS:
            raise UserError(
                f'--cfg-options {key} has no effect: {top!r} is not a setting of a run. Variables '
                'of a config file are used up when it is read: override the places where they '
                'went, such as train_dataloader.dataset.data_root'
                f'{_hint(get_close_matches(top, READ_BY_RUNS, cutoff=0.8))}'
            )
        if '' in key.split('.'):
            raise UserError(f'--cfg-options {key}: a name between two dots is missing')
    for key, value in options.items():
        _drop_none(cfg, key if isinstance(value, dict) else key.rpartition('.')[0])
    try:
        cfg.merge_from_dict(copy.deepcopy(options))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f'--cfg-options cannot be applied: {first_line(error)}') from error
    for key in _MAPPINGS & cfg.keys():
        if cfg[key] is not None and not isinstance(cfg[key], dict):
            raise UserError(
                f'--cfg-options {key}={cfg[key]!r}: {key} is a dict of settings; override one of '
                f'them, {key}.NAME=VALUE'
            )
    if isinstance(cfg.get('model'), dict):
        for place, head in heads_of(cfg.model):
            if not isinstance(head, dict):
                raise UserError(
                    f'--cfg-options: {place} is {head!r}, but a head is a dict of settings; '
                    f'override one of them, such as {place}.type=FCNHead'
                )


def _drop_none(cfg: Config, place: str) -> None:
    """Remove a setting of None from a place that an override puts settings into.

    mmengine refuses to: ``clip_grad=None`` in a config would forbid ``clip_grad.max_norm=1``.
    """
    node: Any = cfg
    for name in place.split('.'):
        if not isinstance(node, Config | dict) or name not in node:
            return
        if node[name] is None:
            node.pop(name)
            return
        node = node[name]


def _check_types(cfg: Config) -> None:
    known = {name for registry in _registries() for name in registry.module_dict}
    for place, name in _types(cfg.to_dict()):
        local = name.removeprefix('mmseg.').removeprefix('mmengine.')
        package = local.partition('.')[0]
        if local == package or not package.isidentifier():
            if local not in known:
                raise UserError(
                    f'unknown type {name!r} at {place}{_hint(get_close_matches(local, known))}; '
                    'a module of your own must be registered in mmseg.registry.MODELS, named in '
                    "custom_imports=dict(imports=['my_file']), and found through PYTHONPATH"
                )
        elif find_spec(package) is None:
            raise UserError(
                f'type {name!r} at {place} needs the package {package}, which is not installed'
            )


def _registries() -> Iterator[Registry]:
    for module in (mmengine.registry, mmseg.registry):
        for registry in vars(module).values():
            if isinstance(registry, Registry):
                registry.import_from_location()
                yield registry


def _types(node: Any, place: str = '') -> Iterator[tuple[str, str]]:
    """Every registered name that a config mentions, with its place."""
    if isinstance(node, dict):
        if isinstance(node.get('type'), str):
            yield f'{place}.type'.lstrip('.'), node['type']
        for key, value in node.items():
            if key not in ('clip_grad', 'metainfo'):  # their `type` is none of a registry
                yield from _types(value, f'{place}.{key}'.lstrip('.'))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _types(value, f'{place}[{index}]')


def _hint(names: list[str]) -> str:
    return f'; did you mean {" or ".join(names)}?' if names else ''
