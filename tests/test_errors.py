"""Mistakes of the user are told in one line; bugs keep their traceback, with a hint after it."""

import traceback

import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

import mmattn.models  # noqa: F401  registers the backbones
from mmattn.errors import UserError, add_hint, explain_settings


class BuggyPlugin(nn.Module):
    """A researcher's first try."""

    def __init__(self, in_channels: int, fault: str) -> None:
        super().__init__()
        if fault == 'attribute':
            self.conv = nn.Conv2d(in_channels, in_channels, self.kernel_size)
        if fault == 'argument':
            self.conv = nn.Conv2d(in_channels, in_channels, kernel=3)
        if fault == 'library':
            self.conv = nn.Conv2d(in_channels, in_channels, 3, padding_mode='none')
        if fault == 'own':
            raise ValueError('in_channels must be even')


@pytest.fixture(scope='module', autouse=True)
def registered():
    init_default_scope('mmseg')
    MODELS.register_module(name='BuggyPlugin', module=BuggyPlugin, force=True)


@pytest.mark.parametrize(
    ('settings', 'reason'),
    [
        (dict(type='ResNet', depth=19), 'KeyError: .*invalid depth 19'),
        (dict(type='ResNet', depth=50, colour='red'), "unexpected keyword argument 'colour'"),
        (dict(type='ResNet'), 'missing 1 required positional argument: .depth'),
        (dict(type='NoSuchNet'), 'NoSuchNet is not in the mmseg::model registry'),
        (dict(depth=50), 'must contain the key "type"'),
        (dict(type='AttnResNet', depth=50, plugins=[dict(cfg=dict(type='SE'))]), 'position'),
    ],
)
def test_what_the_libraries_refuse_is_told_in_one_line(settings, reason):
    with pytest.raises(UserError, match=reason) as error, explain_settings():
        MODELS.build(settings)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('fault', ['attribute', 'argument', 'library', 'own'])
@pytest.mark.parametrize('place', ['alone', 'in a backbone', 'in a neck'])
def test_a_bug_in_a_module_of_the_user_keeps_its_traceback_and_gets_a_hint(fault, place):
    cfg = dict(type='BuggyPlugin', fault=fault)
    settings = {
        'alone': dict(cfg, in_channels=4),
        'in a backbone': dict(
            type='AttnResNet', depth=18, plugins=[dict(cfg=cfg, position='after_conv2')]
        ),
        'in a neck': dict(type='AttentionNeck', in_channels=(4, 4), attention=cfg),
    }
    with pytest.raises((AttributeError, TypeError, ValueError)) as error, explain_settings():
        MODELS.build(settings[place])
    assert not isinstance(error.value, UserError)
    assert f'{__file__}' in ''.join(traceback.format_exception(error.value))
    assert 'look there' in error.value.__notes__[0]


def test_a_failed_assertion_without_words_names_its_place():
    settings = dict(type='FCNHead', in_channels=8, channels=8, num_classes=2, num_convs=-1)
    place = r'AssertionError at .*fcn_head\.py:\d+: assert'
    with pytest.raises(UserError, match=place), explain_settings():
        MODELS.build(settings)


def test_a_crash_inside_a_library_is_no_refusal():
    with pytest.raises(TypeError, match='has no len') as error, explain_settings():
        MODELS.build(dict(type='ResNet', depth=50, strides=None))
    assert error.value.__notes__


def test_a_file_that_a_setting_names_in_vain_is_told():
    loss = dict(type='mmseg.CrossEntropyLoss', class_weight='none.npy')
    words = '^a setting of the config names the file none.npy, which is not there$'
    with pytest.raises(UserError, match=words), explain_settings():
        MODELS.build(loss)


def test_explained_errors_are_left_as_they_are():
    with pytest.raises(UserError, match='^mine$'), explain_settings():
        raise UserError('mine')


def test_a_hint_is_given_once():
    error = KeyError('depth')
    add_hint(error, 'look there')
    add_hint(error, 'look there')
    assert error.__notes__ == ['look there']
