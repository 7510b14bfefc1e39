"""What a study compares: its file, read, merged and checked."""

import copy
import hashlib
import itertools
import json
import pprint
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmattn.compat import import_mmseg
from mmattn.errors import UserError, first_line, passes_modules_of_the_user, place_in_config

import_mmseg()

from mmattn.preflight.config import CONFIGS, READ_BY_RUNS, SEEDS  # noqa: E402

DEFAULT_SEEDS = (0, 1, 2)
_NAME = re.compile(r'\w[\w.+-]*')
_TAKEN = ('report', 'slurm')  # folders of a study beside those of its variants


def _digest(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is(kind: type, of: type | None = None) -> Callable[[Any], bool]:
    """Whether a value is of a kind, and all in it of another."""

    def fits(value: Any) -> bool:
        parts = value.values() if isinstance(value, dict) else value
        return isinstance(value, kind) and (of is None or all(isinstance(x, of) for x in parts))

    return fits


# What each key of a study must be, and that in words.
_KEYS = {
    **dict.fromkeys(('question', 'base', 'baseline', 'data'), (_is(str), 'a text')),
    'variants': (_is(dict), 'a dict of name to overrides, or to the path of a config'),
    'grid': (_is(list | tuple, dict), 'a list of dicts as `variants`: [dict(...), dict(...)]'),
    'class_groups': (
        _is(dict, list | tuple),
        "a dict of name to names of classes: dict(thin=['pole', 'sign'])",
    ),
    'seeds': (_is(list | tuple, int), 'a list of whole numbers: [0, 1, 2]'),
    'options': (_is(dict), 'a dict of overrides'),
}


@dataclass(frozen=True)
class Variant:
    """One row of a comparison.

    Attributes:
        name: Its name in the study.
        settings: What a run reads of its merged config.
    """

    name: str
    settings: dict[str, Any] = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """The same for the same settings, whatever their order."""
        return _digest(self.settings)

    @cached_property
    def portable_digest(self) -> str:
        """The same on machines that have the data in other folders."""
        return _digest(without(self.settings, 'data_root'))

    @property
    def text(self) -> str:
        """The settings as a config file."""
        lines = (
            f'{key} = {pprint.pformat(value, width=100, sort_dicts=False)}\n'
            for key, value in self.settings.items()
        )
        return ''.join(lines)


@dataclass(frozen=True)
class Study:
    """A question, and the variants that answer it.

    Attributes:
        name: Of the file.
        question: In words.
        baseline: Name of the variant that the others are compared with.
        variants: By name, in the order of the report.
        seeds: Of the runs of each variant.
        class_groups: Name of a group to names of classes, whose mean IoU is reported.
        data: What a user must have, in words.
    """

    name: str
    question: str
    baseline: str
    variants: dict[str, Variant]
    seeds: tuple[int, ...] = DEFAULT_SEEDS
    class_groups: dict[str, list[str]] = field(default_factory=dict)
    data: str = ''


def load_study(path: str | Path) -> Study:
    """Read a study file and merge the config of each variant.

    Args:
        path: A file, or the name of one of mmattn's own, alone or after `configs/studies/`.

    Raises:
        UserError: The file is not there or no study, or a variant cannot be merged.
    """
    file = _find(Path(path))
    cfg = _read(file, f'study {path}').to_dict()
    _check_keys(file, cfg)
    parts = _parts(file, cfg)
    if cfg['baseline'] not in parts:
        raise UserError(
            f'study {file}: the baseline {cfg["baseline"]!r} is none of its variants: '
            f'{", ".join(parts)}'
        )
    seeds = cfg.get('seeds') or DEFAULT_SEEDS
    check_seeds(seeds)
    common = cfg.get('options') or {}
    read = cache(_read)  # most variants build on one config
    variants = {
        name: Variant(name, _merge(file, cfg['base'], name, [common, *parts[name]], read))
        for name in parts
    }
    return Study(
        name=file.stem,
        question=cfg['question'],
        baseline=cfg['baseline'],
        variants=variants,
        seeds=tuple(seeds),
        class_groups=cfg.get('class_groups') or {},
        data=cfg.get('data') or '',
    )


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise UserError unless these are different whole numbers that a run takes as its seed."""
    whole = all(isinstance(seed, int) and 0 <= seed < SEEDS for seed in seeds)
    if not seeds or not whole or len(set(seeds)) < len(seeds):
        raise UserError(
            f'seeds must be different whole numbers from 0 to {SEEDS - 1}, got {list(seeds)}'
        )


def check_class_groups(study: Study, classes: Sequence[str]) -> None:
    """Raise UserError where a group names a class that the data does not have."""
    for group, names in study.class_groups.items():
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise UserError(
                f'study {study.name}: class_groups[{group!r}] names {unknown[0]!r}; the classes '
                f'are {", ".join(classes)}'
            )


def flatten(overrides: Mapping[str, Any], place: str = '') -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of nested overrides; lists, and dicts without keys, are values."""
    for key, value in overrides.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f'{place}{key}.')
        else:
            yield f'{place}{key}', value


def without(settings: Any, key: str) -> Any:
    """Nested settings without one key, wherever it stands."""
    if isinstance(settings, Mapping):
        return {name: without(value, key) for name, value in settings.items() if name != key}
    if isinstance(settings, list | tuple):
        return [without(value, key) for value in settings]
    return settings


def _read(path: Path, what: str) -> Config:
    try:
        return Config.fromfile(path, import_custom_modules=False)
    except Exception as error:  # a config is code: anything can happen in it
        if passes_modules_of_the_user(error):
            raise
        raise UserError(
            f'{what} cannot be read{place_in_config(error)}: {first_line(error)}'
        ) from error


def _find(path: Path) -> Path:
    """The file of a study: as named, or the one of ours of that name."""
    ours = CONFIGS / 'studies'
    files = [path]
    if path.parent.parts[-2:] in ((), ('configs', 'studies')):
        files += [ours / path.name, ours / f'{path.name}.py']
    for file in files:
        if file.is_file():
            return file
    names = {file.stem: str(file) for file in ours.glob('*.py')}
    close = get_close_matches(path.stem, names, n=3, cutoff=0.5)
    meant = ' or '.join(names[name] for name in close)
    raise UserError(f'study {path} not found{f"; did you mean {meant}?" if meant else ""}')


def _check_keys(file: Path, cfg: dict) -> None:
    for key in cfg.keys() - _KEYS.keys():  # variables of the file, or misspelt
        close = get_close_matches(key, _KEYS, n=1, cutoff=0.8)
        if close:
            raise UserError(f'study {file}: there is no {key!r}; did you mean {close[0]!r}?')
    for key, (fits, expected) in _KEYS.items():
        value = cfg.get(key)
        if value is not None and not fits(value):
            raise UserError(f'study {file}: {key} must be {expected}, got {value!r}')
    missing = [key for key in ('question', 'base', 'baseline') if not cfg.get(key)]
    if missing or not (cfg.get('variants') or cfg.get('grid')):
        missing += [] if cfg.get('variants') or cfg.get('grid') else ['variants']
        raise UserError(
            f'study {file} has no {" and no ".join(missing)}; docs/studies.md shows a whole one'
        )


def _parts(file: Path, cfg: dict) -> dict[str, list]:
    """What makes each variant: overrides, or the path of a config, one after the other."""
    parts = {name: [part] for name, part in (cfg.get('variants') or {}).items()}
    for chosen in itertools.product(*(axis.items() for axis in cfg.get('grid') or [])):
        name = '-'.join(name for name, _ in chosen)
        if name in parts:
            raise UserError(
                f'study {file}: two variants have the name {name!r}: rename one, in variants or '
                'in an axis of the grid'
            )
        if chosen:
            parts[name] = [part for _, part in chosen]
    for name, made_of in parts.items():
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise UserError(
                f'study {file}: the variant {name!r} names a folder: use letters, digits, and '
                f'any of _ . + -, but none of {", ".join(_TAKEN)}'
            )
        for part in made_of:
            if not isinstance(part, str | dict):
                raise UserError(
                    f'study {file}: the variant {name!r} must be a dict of overrides or the path '
                    f'of a config, got {part!r}'
                )
        configs = [part for part in made_of if isinstance(part, str)]
        if len(configs) > 1:
            raise UserError(
                f'study {file}: the variant {name!r} of the grid is made of several configs, '
                f'{" and ".join(configs)}; one axis can name configs, the others need overrides'
            )
    return parts


def _merge(
    file: Path, base: str, name: str, parts: list, read: Callable[[Path, str], Config]
) -> dict[str, Any]:
    """The settings of a variant: the last config named, then all overrides in their order."""
    paths = [base, *(part for part in parts if isinstance(part, str))]
    path = file.parent / paths[-1]
    if not path.is_file():
        raise UserError(f'study {file}, variant {name!r}: there is no config {path}')
    cfg = copy.deepcopy(read(path, f'study {file}: config {path}'))
    for part in parts:
        options = {} if isinstance(part, str) else dict(flatten(part))
        for key in options:
            if key.split('.')[0] not in READ_BY_RUNS:
                raise UserError(
                    f'study {file}, variant {name!r}: the override {key} has no effect, since a '
                    f'run does not read {key.split(".")[0]!r}'
                )
        try:
            cfg.merge_from_dict(copy.deepcopy(options))
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f'study {file}, variant {name!r} cannot be merged: {first_line(error)}'
            ) from error
    settings = {key: value for key, value in cfg.to_dict().items() if key in READ_BY_RUNS}
    # Variants of a seed start from the same weights in layers of the same name and shape.
    settings['randomness'] = {**(settings.get('randomness') or {}), 'paired': True}
    return settings
