"""What changed since a checkpoint was written is told, and refused where it cannot work."""

import pytest
from mmengine.config import Config

from mmattn.errors import UserError
from mmattn.preflight.resume import changed_settings, check_training_state, settings_in


def config() -> Config:
    return Config(
        dict(
            model=dict(type='EncoderDecoder', pretrained='torchvision://resnet18', size=(8, 8)),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9)
            ),
            param_scheduler=[dict(type='PolyLR', power=0.9, begin=0, end=100, by_epoch=False)],
            train_cfg=dict(by_epoch=False, max_iters=100),
            work_dir='here',
        )
    )


@pytest.fixture
def checkpoint() -> dict:
    group = dict(lr=0.005, momentum=0.9, initial_lr=0.01, params=[0])
    return dict(
        meta=dict(iter=1, epoch=0, cfg=config().pretty_text),
        message_hub={},
        optimizer=dict(state={}, param_groups=[group]),
        param_schedulers=[dict(power=0.9, begin=0, end=100, last_step=1)],
    )


def changed(checkpoint, **options) -> list[str]:
    cfg = config()
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    return changed_settings(checkpoint, cfg).splitlines()


def test_the_same_config_has_nothing_to_tell(checkpoint):
    assert changed(checkpoint) == []
    assert changed(checkpoint, work_dir='there', model__pretrained=None) == []


@pytest.mark.parametrize(
    ('options', 'kept'),
    [
        (dict(optim_wrapper__optimizer__lr=0.1), True),
        (dict(param_scheduler__0__end=200), True),
        (dict(train_cfg__max_iters=200), False),
        (dict(optim_wrapper__accumulative_counts=2), False),
        (dict(model__size=(16, 16)), False),
    ],
)
def test_a_changed_setting_is_told_with_its_effect(checkpoint, options, kept):
    (line,) = changed(checkpoint, **options)
    ((place, value),) = options.items()
    assert place.replace('__', '.') in line
    assert str(value).strip('()') in line
    assert line.startswith('changed, without effect' if kept else 'changed, takes effect')


def test_a_schedule_that_is_added_takes_effect(checkpoint):
    cfg = config()
    cfg.param_scheduler = [*cfg.param_scheduler, dict(type='LinearLR', begin=0, end=10)]
    lines = changed_settings(checkpoint, cfg).splitlines()
    assert lines and all('takes effect: param_scheduler.1.' in line for line in lines)


def test_another_optimizer_is_refused_with_both_names(checkpoint):
    cfg = config()
    cfg.optim_wrapper.optimizer.type = 'AdamW'
    with pytest.raises(UserError, match='state of SGD, the config has AdamW.*load_from=it.pth'):
        check_training_state('it.pth', checkpoint, cfg)
    check_training_state('it.pth', checkpoint, config())


@pytest.mark.parametrize(
    'text', ['x = open("trace", "w")', 'model = dict(f())', 'x = (', 'x = ' + '(' * 10**5, None, 3]
)
def test_the_config_in_a_checkpoint_is_read_and_not_executed(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    assert settings_in(dict(meta=dict(cfg=text))) == {}
    assert not list(tmp_path.iterdir())
