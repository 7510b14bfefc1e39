"""Any override of a config is applied or refused in one line."""

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from mmattn.apis.blame import blame_options
from mmattn.cli.arguments import parse_value
from mmattn.errors import UserError
from mmattn.preflight.config import load_config
from mmattn.preflight.model import look_at_model

from .conftest import amount

CONFIG = """
custom_imports = dict(imports=['mmattn.models', 'mmattn.engine'])
head = dict(type='FCNHead', in_channels=16, in_index=1, channels=8, num_classes=3)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(32, 32)),
    backbone=dict(type='AttnResNet', depth=18, base_channels=8, stem_channels=8, num_stages=2,
        strides=(1, 2), dilations=(1, 1), out_indices=(0, 1),
        plugins=[dict(cfg=dict(type='SE', reduction=4), position='after_conv2')]),
    neck=dict(type='AttentionNeck', in_channels=[8, 16], attention=dict(type='ECA')),
    decode_head=dict(**head, norm_cfg=dict(type='BN'), loss_decode=dict(
        type='CrossEntropyLoss', loss_weight=1.0, class_weight=[1, 2, 3])),
    auxiliary_head=dict(**head, num_convs=1),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
crop_size = (32, 32)
default_scope = 'mmseg'
randomness = dict(seed=1)
del head
"""
values = st.one_of(
    st.integers(-2, 70),
    st.floats(allow_nan=True, width=16),
    st.sampled_from(['abc', 'SE', 'BN', 'FCNHead', 'ResNet', '../../../etc/passwd', '']),
    st.booleans(),
    st.none(),
    st.lists(st.integers(-1, 20), max_size=4),
    st.dictionaries(st.sampled_from(['type', 'a', '_delete_']), st.sampled_from(['SE', 3, True])),
)


@pytest.fixture
def config(untouched):
    (untouched / 'mine.py').write_text(CONFIG)
    return untouched / 'mine.py'


def keys(node, place=()) -> list[str]:
    """The dotted keys of all settings below a node."""
    if isinstance(node, dict):
        pairs = list(node.items())
    elif isinstance(node, list):
        pairs = list(enumerate(node))
    else:
        return ['.'.join(map(str, place))]
    found = ['.'.join(map(str, place))] if place else []
    return found + [key for name, child in pairs for key in keys(child, (*place, name))]


@amount(100, 4000)
def test_any_text_is_a_value_or_refused(cases):
    pieces = st.sampled_from(["{'a':1}", *'[](){}\'",:1a'])

    @settings(max_examples=cases)
    @given(st.one_of(st.text(max_size=30), st.lists(pieces, max_size=14).map(''.join)))
    def check(text):
        try:
            parse_value('key', text)
        except UserError as error:
            assert 'key=' in str(error)

    check()


@pytest.mark.parametrize('text', ['[' * 5000, '{' * 5000, "{'a':" * 500, '[' * 300 + ']' * 300])
def test_deep_brackets_are_a_value_or_refused(text):
    try:
        parse_value('key', text)
    except UserError as error:
        assert 'cannot be read' in str(error)


@amount(10, 40)
def test_any_override_builds_a_model_or_is_refused(config, cases):
    known = keys(load_config(config).to_dict()['model'], ('model',))

    @settings(max_examples=cases, phases=[Phase.generate])  # to shrink takes minutes
    @given(st.dictionaries(st.sampled_from(known), values, min_size=1, max_size=2))
    def check(options):
        try:
            with blame_options(config, options):
                look_at_model(load_config(config, options))
        except UserError as error:
            assert str(error)

    check()


@amount(30, 500)
def test_any_key_is_applied_or_refused(config, cases):
    names = st.sampled_from(['model', 'decode_head', 'type', '0', '9', '', 'a', 'train_cfg', '-1'])

    @settings(max_examples=cases)
    @given(st.lists(names, min_size=1, max_size=4).map('.'.join), values)
    @example('model.type', '../../../etc/passwd')
    def check(key, value):
        try:
            load_config(config, {key: value})
        except UserError as error:
            assert str(error)

    check()
