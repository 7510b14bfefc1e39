"""Reads the study files: their variants, and the config that each stands for."""

from copy import deepcopy
from functools import cache
from itertools import product
from pathlib import Path

from mmengine.config import Config

STUDIES = sorted((Path(__file__).resolve().parents[2] / 'configs' / 'studies').glob('*.py'))

Change = str | dict  # a child config, or overrides as of --cfg-options
load = cache(Config.fromfile)


def variants(study: Config) -> dict[str, list[Change]]:
    """Names, and the changes that are made to the base one after the other."""
    named = {name: [change] for name, change in study.get('variants', {}).items()}
    if 'grid' in study:
        for point in product(*(axis.items() for axis in study.grid)):
            named['-'.join(name for name, _ in point)] = [change for _, change in point]
    return named


def merged(path: Path, study: Config, changes: list[Change]) -> Config:
    """The config of a variant of the study in a file."""
    file = [study.base, *(change for change in changes if isinstance(change, str))][-1]
    config = deepcopy(load(path.parent / file))
    for change in [study.get('options', {}), *changes]:
        if isinstance(change, dict):
            config.merge_from_dict(deepcopy(change))
    return config
