"""What every training has: a rehearsal, an end where the loss is no number, its own work dir."""

import json
import re
from collections import namedtuple

import pytest
import torch

from mmattn.engine.checkpoints import safe_load
from mmattn.engine.hooks.rehearsal import FOLDER, RehearsalHook
from mmattn.errors import DivergedError, UserError

from . import test_train

toy, train_small = test_train.toy, test_train.train_small

Usage = namedtuple('Usage', 'total used free')


def log_of(work_dir) -> str:
    (log,) = work_dir.glob('*/*.log')
    return log.read_text()


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('default_hooks.checkpoint.max_keep_ckpt=1', 'max_keep_ckpt.*did you mean max_keep_ckpts'),
        ('default_hooks.checkpoint.max_keep_ckpts=two', "max_keep_ckpts is 'two'"),
        ('default_hooks.checkpoint.interval=often', "CheckpointHook.interval is 'often'"),
        ('default_hooks.checkpoint.save_best=miou', "no metric 'miou'; did you mean mIoU"),
        ('val_evaluator.iou_metrics=[mIOU]', 'mIOU.* not supported|metrics.*mIOU'),
        ('train_cfg.val_interval=0', 'val_interval is 0'),
    ],
)
def test_mistakes_that_would_show_after_hours_are_told_before(
    train_small, tmp_path, option, message
):
    with pytest.raises(UserError, match=message) as error:
        train_small(option)
    assert '\n' not in str(error.value)
    assert 'Iter(train)' not in log_of(tmp_path / 'run')
    assert not [*(tmp_path / 'run').glob('*.pth'), *(tmp_path / 'run').glob('.*')]


def test_a_disk_too_small_for_the_checkpoints(train_small, tmp_path, monkeypatch):
    free = Usage(10**9, 10**9, 4 * 10**6)  # bytes
    monkeypatch.setattr('mmattn.engine.hooks.rehearsal.shutil.disk_usage', lambda path: free)
    with pytest.raises(UserError, match='has 4 MB free, but .* take 8 MB: 3 of 3 MB at once'):
        train_small('train_cfg.max_iters=8')
    assert 'Iter(train)' not in log_of(tmp_path / 'run')


@pytest.mark.parametrize('optimizer', ['AdamW', 'SGD'])
def test_the_size_of_checkpoints_is_known_before_the_first(train_small, tmp_path, optimizer):
    options = (
        'train_cfg.max_iters=1',
        'train_cfg.val_begin=9',
        f'optim_wrapper.optimizer.type={optimizer}',
    )
    extra = ('optim_wrapper.optimizer.momentum=0.9',) if optimizer == 'SGD' else ()
    train_small(*options, *extra)
    said = re.search(
        r'rehearsed in .*written and read \((\d+) MB, 1 at once', log_of(tmp_path / 'run')
    )
    size = (tmp_path / 'run/iter_1.pth').stat().st_size / 1e6
    assert abs(float(said[1]) - size) < 0.6
    assert not (tmp_path / 'run' / FOLDER).exists()


def test_the_rehearsal_changes_nothing_of_the_run(train_small, tmp_path, monkeypatch):
    options = ('train_cfg.max_iters=2', 'train_cfg.val_interval=1')
    options += ('val_dataloader.batch_size=2', 'model.decode_head.dropout_ratio=0.5')
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', '')
    for folder in ('with', 'without'):
        if folder == 'without':
            monkeypatch.setattr(RehearsalHook, 'before_train', lambda self, runner: None)
        train_small(*options, folder=folder, seed=3, deterministic=True)
    states = [safe_load(tmp_path / folder / 'iter_2.pth') for folder in ('with', 'without')]
    weights = [state['state_dict'] for state in states]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    scalars = []
    for folder in ('with', 'without'):
        (file,) = (tmp_path / folder).glob('*/vis_data/scalars.json')
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        scalars.append([{k: v for k, v in x.items() if 'time' not in k} for x in lines])
    assert scalars[0] == scalars[1]


def test_a_training_that_diverges_ends_with_iteration_files_and_last_checkpoint(
    train_small, tmp_path
):
    options = (
        'optim_wrapper.optimizer.lr=1e30',
        'train_cfg.max_iters=30',
        'train_cfg.val_begin=99',
    )
    with pytest.raises(DivergedError) as error:
        train_small(*options)
    message = str(error.value)
    iteration = int(re.search(r'not finite at iteration (\d+)', message)[1])
    assert 11 <= iteration <= 14
    assert '10 steps in a row' in message
    assert message.count('.png') == 2  # the batch
    checkpoint = re.search(r'last checkpoint: (\S+\.pth)', message)[1]
    weights = safe_load(checkpoint)['state_dict']
    assert all(value.isfinite().all() for value in weights.values())
    assert '(9 in a row)' in log_of(tmp_path / 'run')


def test_weights_that_are_no_numbers_are_not_used(train_small, tmp_path):
    options = ('train_cfg.max_iters=2', 'train_cfg.val_begin=9')
    train_small(*options)
    good = tmp_path / 'run/iter_2.pth'
    state = safe_load(good)
    first = next(iter(state['state_dict']))
    state['state_dict'][first].view(-1)[0] = torch.inf
    torch.save(state, good)
    good.with_suffix('.json').unlink()  # whose checksum would tell that the file was changed
    with pytest.raises(UserError, match=f'iter_2.pth holds NaN or infinity.*{first}'):
        train_small('train_cfg.max_iters=4', resume=True)


def test_a_folder_with_only_a_best_checkpoint_is_not_overwritten(train_small, tmp_path):
    best = tmp_path / 'run/best_mIoU_iter_400.pth'
    best.parent.mkdir()
    best.write_bytes(b'weights')
    with pytest.raises(UserError, match='holds the checkpoints of an earlier run'):
        train_small()
    assert best.read_bytes() == b'weights'
