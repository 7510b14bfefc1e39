"""A crash that an override causes is told as that override, if trying again proves it."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from mmattn.apis.blame import blame_options
from mmattn.errors import UserError
from mmattn.preflight.config import load_config
from mmattn.preflight.model import look_at_model

from ..fuzz.test_overrides import CONFIG


@pytest.fixture
def look(tmp_path):
    """Look at a small model with overrides, as a run does."""
    path = tmp_path / 'mine.py'
    path.write_text(CONFIG)

    def look(options):
        with blame_options(path, options):
            look_at_model(load_config(path, options))

    return look


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('model.backbone.strides', None),
        ('model.decode_head.num_classes', 'abc'),
        ('model.data_preprocessor.size', 'abc'),
    ],
)
def test_the_override_is_named(look, key, value):
    with pytest.raises(UserError) as error:
        look({key: value, 'model.decode_head.channels': 4})
    assert str(error.value).startswith(f'--cfg-options {key}={value} is why the run')
    assert '\n' not in str(error.value)


def test_one_of_two_wrong_overrides_is_named(look):
    with pytest.raises(UserError, match='is why the run does not start'):
        look({'model.backbone.strides': None, 'model.auxiliary_head.num_convs': 'abc'})


def test_a_module_of_the_user_keeps_its_traceback(look):
    class Mine(torch.nn.Module):
        def __init__(self, in_channels, scale=1):
            super().__init__()
            self.scale = scale.no_such_attribute

    MODELS.register_module(name='MineWithScale', module=Mine, force=True)
    plugin = dict(cfg=dict(type='MineWithScale', scale='abc'), position='after_conv2')
    with pytest.raises(AttributeError) as error:
        look({'model.backbone.plugins': [plugin]})
    assert '--cfg-options model.backbone.plugins' in error.value.__notes__[-1]


@pytest.mark.parametrize('text', [CONFIG, CONFIG.replace("'mmseg'", "'mmengine'")])
def test_a_crash_that_no_override_causes_is_left_alone(tmp_path, text, monkeypatch):
    # The scope that the config names is not left to the tests that follow.
    monkeypatch.setattr(DefaultScope, '_instance_dict', DefaultScope._instance_dict.copy())
    (tmp_path / 'mine.py').write_text(text)  # the second one cannot be built at all
    options = {'model.decode_head.channels': 4}
    with pytest.raises(RuntimeError, match='^later$'), blame_options(tmp_path / 'mine.py', options):
        raise RuntimeError('later')
