"""Configs are read, and what is wrong with them is told with its place and its remedy."""

import re
import traceback
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmattn.engine.hooks.non_finite import REMEDY
from mmattn.errors import UserError
from mmattn.preflight.config import (
    CONFIGS,
    load_config,
    num_classes,
    require_keys,
)

LEAVES = sorted(file for file in CONFIGS.rglob('*.py') if not {'_base_', 'studies'} & {*file.parts})


@pytest.fixture
def config(tmp_path):
    """Write a config file from its text."""

    def write(text: str) -> Path:
        path = tmp_path / 'mine.py'
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_every_name_in_our_configs_is_known(path):
    assert isinstance(load_config(path), Config)


def test_a_config_that_is_not_there_gets_the_nearest_names():
    with pytest.raises(UserError, match='not found; did you mean') as error:
        load_config('configs/dannet/danet_r50-d8_cityscapes-512x1024.py')
    assert 'danet_r50-d8' in str(error.value)


def test_studies_are_no_configs_to_name():
    with pytest.raises(UserError, match='not found') as error:
        load_config('nope.py')
    assert 'studies' not in str(error.value)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('model = dict(', 'SyntaxError'),
        ("_base_ = './none.py'", 'none.py'),
        ('\n\nmodel = dict(depth=undefined)', r"mine.py, line 3\): .*'undefined' is not defined"),
    ],
)
def test_a_config_that_cannot_be_read_says_why(config, text, reason):
    path = config(text)
    with pytest.raises(UserError, match='cannot be read') as error:
        load_config(path)
    assert str(path) in str(error.value)
    assert re.search(reason, str(error.value))


def test_modules_of_the_user_may_be_named_by_an_option(config, tmp_path, monkeypatch):
    (tmp_path / 'module_of_mine.py').write_text(
        'from mmseg.registry import MODELS\n'
        "MODELS.register_module(name='Mine', module=dict, force=True)"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = config("model = dict(type='Mine')")
    load_config(path, {'custom_imports.imports': ['module_of_mine']})


def test_a_module_that_python_does_not_find_is_named_with_the_remedy(config):
    with pytest.raises(UserError, match="names the module 'no_such_package'.*PYTHONPATH=mine"):
        load_config(config("custom_imports = dict(imports=['no_such_package.part'])"))


@pytest.mark.parametrize('text', ['import no_such_package', 'undefined', 'None.attribute'])
def test_a_bug_in_a_module_of_the_user_keeps_its_traceback(config, tmp_path, monkeypatch, text):
    (tmp_path / 'buggy_module.py').write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises((ImportError, NameError, AttributeError)) as error:
        load_config(config("custom_imports = dict(imports=['buggy_module'])"))
    assert not isinstance(error.value, UserError)
    assert 'buggy_module.py' in ''.join(traceback.format_exception(error.value))


@pytest.mark.parametrize(
    ('text', 'place', 'hint'),
    [
        ("model = dict(head=[dict(type='DANetHed')])", r'model\.head\[0\]\.type', 'DANetHead'),
        ("hooks = dict(timer=dict(type='IterTimeHook'))", r'hooks\.timer\.type', 'IterTimerHook'),
        ("optimizer = dict(type='AdmW')", r'optimizer\.type', 'AdamW'),
        ("x = dict(type='mmseg.ResNetV1')", r'x\.type', 'ResNetV1'),
        ("x = dict(type='no_such_package.ResNet')", r'x\.type', 'no_such_package'),
    ],
)
def test_an_unknown_type_is_named_with_its_place(config, text, place, hint):
    path = config("custom_imports = dict(imports=['mmattn.models', 'mmattn.engine'])\n" + text)
    with pytest.raises(UserError, match=place) as error:
        load_config(path)
    assert hint in str(error.value)


def test_types_outside_the_registries_are_left_alone(config):
    path = config(
        "optim_wrapper = dict(type='OptimWrapper', clip_grad=dict(type='value', clip_value=1))\n"
        "dataset = dict(type='BaseSegDataset', metainfo=dict(type='street'))\n"
        "norm_cfg = dict(type='SyncBN')\n"
        "act_cfg = dict(type='mmengine.ReLU')\n"
        "init_cfg = dict(type='Pretrained', checkpoint='a.pth')\n"
        "collate_fn = dict(type='pseudo_collate')\n"
    )
    load_config(path)


@pytest.mark.parametrize(
    'options',
    [{'data_root': 'elsewhere'}, {'optim_wraper.x': 1}, *({key: 1} for key in ('self', 'cfg'))],
)
def test_an_option_without_effect_is_refused(config, options):
    with pytest.raises(UserError, match='has no effect'):
        load_config(config("data_root = 'here'\noptim_wrapper = dict()"), options)


@pytest.mark.parametrize('key', ['find_unused_parameters', 'model_wrapper_cfg', 'sync_bn'])
def test_what_only_the_runner_reads_can_be_set(config, key):
    assert load_config(config(''), {key: 'value'})[key] == 'value'


def test_the_scope_of_a_config_that_names_none_is_mmseg(config):
    # mmengine's runner would switch the whole process to its own.
    assert load_config(config('')).default_scope == 'mmseg'
    assert DefaultScope.get_current_instance().scope_name == 'mmseg'


def test_options_override(config):
    cfg = load_config(config('train_cfg = dict(max_iters=3)'), {'train_cfg.max_iters': 5})
    assert cfg.train_cfg.max_iters == 5


def test_the_number_of_classes_is_that_of_the_last_head():
    heads = [dict(num_classes=2), dict(num_classes=3)]
    assert num_classes(Config(dict(model=dict(decode_head=heads)))) == 3
    assert num_classes(Config(dict(model=dict(decode_head=heads[0])))) == 2
    assert num_classes(Config(dict(model=dict(type='Other')))) is None


def test_a_base_is_no_config_of_a_run(config):
    path = config('model = dict()')
    with pytest.raises(UserError, match='has no train_cfg and no optim_wrapper: it is a base'):
        require_keys(load_config(path), path, 'model', 'train_cfg', 'optim_wrapper')


@pytest.mark.parametrize('value', ['max_norm', 'dict'])
def test_what_a_config_leaves_out_with_none_can_be_set(value):
    # As the error of a diverged run advises; the zoo's schedules have clip_grad=None.
    place = re.search(r'clip gradients \((.*?)\.max_norm=1\)', REMEDY)[1]
    option = {f'{place}.max_norm': 1} if value == 'max_norm' else {place: {'max_norm': 1}}
    cfg = load_config('configs/danet/danet_r50-d8_4xb2-80k_cityscapes-512x1024.py', option)
    assert cfg.optim_wrapper.clip_grad == {'max_norm': 1}
