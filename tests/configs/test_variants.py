"""What the pages of configs say in place of a file works as written."""

import argparse
import re
import shlex

import pytest
import torch
from mmengine.config import Config, DictAction

from .test_configs import BASES, CONFIGS, LEAVES, ZOO, build, check_name, load, settings_of_a_run

README = (CONFIGS / 'README.md').read_text()
ABLATIONS = (CONFIGS / 'ablations' / 'README.md').read_text()
COMMANDS = re.findall(r'^python tools/train\.py .+$', README + ABLATIONS, re.MULTILINE)
CHILDREN = re.findall(r"```python\n# configs/(\S+)\n(_base_ = '(\S+)'\n.*?)```", README, re.DOTALL)


def parse(command: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    parser.add_argument('--work-dir', required=True)  # else it writes into the config's own
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, required=True)
    return parser.parse_args(shlex.split(command)[2:])


def flat(settings: object, key: str = '') -> dict[str, object]:
    """{'a': [{'b': 1}]} as {'a.0.b': 1}: settings by the names that options give them."""
    if isinstance(settings, dict):
        items = settings.items()
    elif isinstance(settings, list):
        items = enumerate(settings)
    else:
        return {key: settings}
    parts = (flat(value, f'{key}.{name}'.lstrip('.')) for name, value in items)
    return {name: value for part in parts for name, value in part.items()}


def changes(config: Config, base: Config) -> dict[str, object]:
    new, old = (flat(settings_of_a_run(each)) for each in (config, base))
    return {key: value for key, value in new.items() if key not in old or old[key] != value}


def build_without_memory(config: Config) -> None:
    with torch.device('meta'):
        build(config)


def test_the_pages_show_variants():
    assert len(COMMANDS) >= 5
    assert len(CHILDREN) >= 3
    assert README.count('```python') == len(CHILDREN)


@pytest.mark.parametrize('command', COMMANDS)
def test_options_change_what_they_say_and_build(command):
    arguments = parse(command)
    path = CONFIGS.parent / arguments.config
    assert path in LEAVES
    config = Config.fromfile(path)
    config.merge_from_dict(arguments.cfg_options)
    assert changes(config, load(path)) == arguments.cfg_options
    build_without_memory(config)


@pytest.mark.parametrize(('name', 'text', 'base'), CHILDREN, ids=[name for name, *_ in CHILDREN])
def test_children_differ_from_their_bases_and_build(name, text, base):
    path = CONFIGS / name
    assert path not in LEAVES
    base_path = (path.parent / base).resolve()
    assert len(text.splitlines()) <= 10
    config = Config.fromstring(text.replace(base, str(base_path)), '.py')
    assert changes(config, load(base_path))
    check_name(path, config)
    build_without_memory(config)


def test_a_child_says_the_same_as_options():
    """The two ways to a ResNet-101 that the page shows."""
    path = CONFIGS / 'ocrnet' / 'ocrnet_r50-d8_4xb4-160k_ade20k-512x512.py'
    (options,) = (
        parse(command).cfg_options for command in COMMANDS if 'work_dirs/fla_r101' in command
    )
    by_options = Config.fromfile(path)
    by_options.merge_from_dict(options)
    (text,) = (text for name, text, _ in CHILDREN if name.startswith('ocrnet/ocrnet_r101'))
    by_child = Config.fromstring(text.replace('./', f'{path.parent}/'), '.py')
    assert settings_of_a_run(by_options) == settings_of_a_run(by_child)


def test_40k_is_that_of_the_zoo():
    (command,) = (command for command in COMMANDS if 'work_dirs/danet_40k' in command)
    arguments = parse(command)
    ours = Config.fromfile(CONFIGS.parent / arguments.config)
    ours.merge_from_dict(arguments.cfg_options)
    zoo = Config.fromfile(ZOO / 'danet' / 'danet_r50-d8_4xb2-40k_cityscapes-512x1024.py')
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert ours[key] == zoo[key]
    interval = zoo.default_hooks.checkpoint.interval
    assert ours.default_hooks.checkpoint.interval == interval


def first_column(title: str) -> set[str]:
    """The names in the first column of a table of the page."""
    (rows,) = re.findall(rf'^\| {title} \|.*\n\|[- |]+\n((?:\|.*\n)+)', README, re.MULTILINE)
    return {name for row in rows.splitlines() for name in re.findall('`(.+?)`', row.split('|')[1])}


def test_the_page_names_every_folder():
    folders = {path.parent.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob('*/*.py')}
    assert first_column('folder') == folders - {'_base_'}


def test_names_that_children_reach_exist():
    names = {name for path in BASES for name in Config.fromfile(path)}
    assert first_column('name') <= names


def test_the_example_of_a_name_exists():
    (name,) = re.findall(r'^    ([a-z].+\.py)$', README, re.MULTILINE)
    assert name in {path.name for path in LEAVES}
