"""A checkpoint fits its config or is refused with the keys that differ."""

import copy
import hashlib
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

import mmattn.apis  # noqa: F401  registers the models
from mmattn.engine.record import record_path
from mmattn.engine.runner import separate_run
from mmattn.errors import UserError
from mmattn.preflight.checkpoint import check_checkpoint, check_start, latest_checkpoint
from mmattn.preflight.model import look_at_model


def config(depth=18, head='FCNHead', classes=3, width=8, auxiliary=True) -> Config:
    common = dict(channels=8, num_classes=classes)
    aux = dict(type='FCNHead', in_channels=4 * width, in_index=2, num_convs=1, **common)
    extra = dict(num_convs=1) if head == 'FCNHead' else {}
    return Config(
        dict(
            model=dict(
                type='EncoderDecoder',
                backbone=dict(type='ResNet', depth=depth, base_channels=width, stem_channels=8),
                decode_head=dict(type=head, in_channels=8 * width, in_index=3, **common, **extra),
                auxiliary_head=aux if auxiliary else None,
            )
        )
    )


def check(path, cfg: Config, **options) -> None:
    check_checkpoint(path, cfg, look_at_model(cfg).shapes, **options)


@pytest.fixture(autouse=True)
def scope():
    """As load_config sets it, whatever the tests before this one ran."""
    init_default_scope('mmseg')


@pytest.fixture
def save(tmp_path):
    """Save the weights of a config's model, as mmengine does."""

    def save(cfg: Config, **extra):
        weights = MODELS.build(copy.deepcopy(cfg.model)).state_dict()
        path = tmp_path / 'iter_1.pth'
        meta = dict(experiment_name='fcn_r18_toy_20250101_120000')
        torch.save(dict(dict(state_dict=weights, meta=meta), **extra), path)
        return path

    return save


@pytest.mark.parametrize('auxiliary', [True, False])
def test_weights_of_the_same_model_fit_with_or_without_auxiliary_head(save, auxiliary):
    check(save(config()), config(auxiliary=auxiliary))
    check(save(config(auxiliary=auxiliary)), config())


def test_weights_of_a_data_parallel_model_fit(tmp_path):
    weights = MODELS.build(copy.deepcopy(config().model)).state_dict()
    torch.save({f'module.{key}': value for key, value in weights.items()}, tmp_path / 'w.pth')
    check(tmp_path / 'w.pth', config())


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (
            dict(classes=5),
            r'a model with 5 classes, not 3.*conv_seg\.weight \(5, 8, 1, 1\) instead',
        ),
        (dict(head='PSPHead'), r'another decode head.*Not in the model: decode_head\.psp_modules'),
        (dict(depth=34), r'another backbone.*Not in the model: backbone\.layer1\.2'),
        (dict(depth=50), 'another backbone.*and [0-9]+ more'),
        (dict(width=16), r'another backbone.*backbone\.layer1'),
    ],
)
def test_weights_of_another_model_are_refused(save, other, message):
    path = save(config(**other))
    with pytest.raises(UserError, match=message) as error:
        check(path, config())
    assert str(path) in str(error.value)
    assert str(error.value).endswith('Give the config it was trained with (fcn_r18_toy)')


def test_missing_weights_are_refused(save):
    with pytest.raises(UserError, match=r'another backbone.*Missing: backbone\.layer1\.2'):
        check(save(config()), config(depth=34))


STATE = dict(optimizer={}, message_hub={}, meta=dict(iter=1, epoch=0))


def test_a_checkpoint_without_training_state_cannot_be_resumed(save):
    with pytest.raises(UserError, match='weights only.*load_from='):
        check(save(config()), config(), resume=True)
    check(save(config(), **STATE), config(), resume=True)


@pytest.mark.parametrize(
    'state',
    [dict(meta=dict(iter='1', epoch=0)), dict(meta=dict(epoch=0)), dict(meta=3), dict(optimizer=3)],
)
def test_a_malformed_training_state_cannot_be_resumed(save, state):
    with pytest.raises(UserError, match='does not say at which iteration'):
        check(save(config(), **{**STATE, **state}), config(), resume=True)


def test_resuming_needs_the_auxiliary_head(save):
    path = save(config(auxiliary=False), **STATE)
    with pytest.raises(UserError, match='Missing: auxiliary_head'):
        check(path, config(), resume=True)


@pytest.mark.parametrize('content', [[1, 2], {}, {'epoch': 3}, {'state_dict': {'a': 1}}])
def test_a_file_without_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(UserError, match='holds no model weights'):
        check(tmp_path / 'other.pth', config())


def test_a_model_that_cannot_be_built_is_told_as_such(save):
    path, cfg = save(config()), config()
    cfg.model.decode_head.colour = 'red'
    with pytest.raises(UserError, match="unexpected keyword argument 'colour'"):
        check(path, cfg)


@pytest.fixture
def work_dir(tmp_path):
    for name in ('iter_900.pth', 'iter_1000.pth', 'best_mIoU_iter_1200.pth', 'weights.pth'):
        torch.save({'weight': torch.ones(64)}, tmp_path / name)
    return tmp_path


def test_the_latest_checkpoint_is_the_one_last_written(work_dir):
    assert latest_checkpoint(work_dir).name == 'iter_1000.pth'
    # mmengine's note holds the path of then; the folder may have been moved since.
    (work_dir / 'last_checkpoint').write_text('/some/where/else/iter_900.pth')
    assert latest_checkpoint(work_dir).name == 'iter_900.pth'
    (work_dir / 'last_checkpoint').write_text('/some/where/else/iter_1100.pth')
    assert latest_checkpoint(work_dir).name == 'iter_1000.pth'
    (work_dir / 'last_checkpoint').write_bytes(b'iter_900\xff.pth')
    assert latest_checkpoint(work_dir).name == 'iter_1000.pth'


@pytest.mark.parametrize('recorded', [False, True])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(work_dir, recorded, capsys):
    latest = work_dir / 'iter_1000.pth'
    if recorded:
        digest = hashlib.sha256(latest.read_bytes()).hexdigest()
        record = dict(file=latest.name, size=latest.stat().st_size, sha256=digest)
        record_path(latest).write_text(json.dumps(record))
    content = bytearray(latest.read_bytes())
    content[content.index(b'weight')] ^= 1
    latest.write_bytes(content)
    (work_dir / 'last_checkpoint').write_text(str(latest))
    with separate_run():
        assert latest_checkpoint(work_dir).name == 'iter_900.pth'
    said = capsys.readouterr().out
    assert f'{latest}' in said and 'damaged' in said and 'Going on from iter_900.pth' in said
    (work_dir / 'iter_900.pth').write_bytes(b'PK')
    with pytest.raises(UserError, match='all of its checkpoints are damaged.*iter_900'):
        latest_checkpoint(work_dir)


def test_a_start_from_weights_that_fit_in_part_is_told(save):
    shapes = look_at_model(config()).shapes
    line = check_start(save(config(classes=5)), shapes)
    assert 'new are decode_head.conv_seg.weight, decode_head.conv_seg.bias and 2 more' in line
    assert '\n' not in line
    path = save(config())
    torch.save({'other.weight': torch.ones(2)}, path)
    with pytest.raises(UserError, match='none of its 1 entries fits.*load_from=None'):
        check_start(path, shapes)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(UserError, match='holds no iter'):
        latest_checkpoint(tmp_path / 'none')
