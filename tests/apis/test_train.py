"""What train() makes of its arguments, and what it tells at the end."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config, DictAction

from mmattn.apis import TrainResult
from mmattn.apis import train as train_model
from mmattn.apis.options import use_amp
from mmattn.apis.training import _result
from mmattn.datasets import generate_toy_scenes
from mmattn.engine.checkpoints import safe_load
from mmattn.errors import UserError

from ..e2e.conftest import CONFIG, SMALL


def config(**wrapper) -> Config:
    optimizer = dict(type='SGD', lr=0.01)
    return Config(dict(optim_wrapper=dict(optimizer=optimizer, accumulative_counts=2, **wrapper)))


@pytest.mark.parametrize(
    ('cpu', 'given', 'expected'),
    [
        (True, 'OptimWrapper', 'AutocastOptimWrapper'),
        (True, 'AmpOptimWrapper', 'AutocastOptimWrapper'),
        (False, 'OptimWrapper', 'AmpOptimWrapper'),
        (False, 'AutocastOptimWrapper', 'AutocastOptimWrapper'),
    ],
)
def test_amp_changes_the_wrapper_and_nothing_else(cpu, given, expected):
    scaling = dict(loss_scale='dynamic') if given == 'AmpOptimWrapper' else {}
    cfg = config(type=given, **scaling)
    use_amp(cfg, cpu)
    assert cfg.optim_wrapper.to_dict() == config(type=expected).optim_wrapper.to_dict()


@pytest.mark.parametrize(
    ('cpu', 'has_bfloat16', 'given', 'expected'),
    [
        (True, True, ['CurveHook'], ['CurveHook', 'ChannelsLastHook']),
        (True, True, [], ['ChannelsLastHook']),
        (True, True, ['ChannelsLastHook'], ['ChannelsLastHook']),
        (True, False, ['CurveHook'], ['CurveHook']),  # it trains in float32
        (False, False, ['CurveHook'], ['CurveHook', 'ChannelsLastHook']),
    ],
)
def test_amp_brings_the_layout_that_is_faster_with_it(
    monkeypatch, cpu, has_bfloat16, given, expected
):
    monkeypatch.setattr('mmattn.apis.options.cpu_has_bfloat16', lambda: has_bfloat16)
    cfg = config()
    cfg.custom_hooks = [dict(type=kind) for kind in given]
    use_amp(cfg, cpu)
    assert [hook['type'] for hook in cfg.custom_hooks] == expected


def test_amp_says_which_wrapper_it_cannot_change():
    with pytest.raises(UserError, match='MyWrapper'):
        use_amp(config(type='MyWrapper'), cpu=True)


def test_a_work_dir_that_cannot_be_made(tmp_path):
    config_file = tmp_path / 'empty.py'
    config_file.write_text('model = train_dataloader = optim_wrapper = train_cfg = dict()')
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=f'{tmp_path}/file is a file'):
        train_model(config_file, work_dir=tmp_path / 'file' / 'run')


def test_the_summary_names_what_there_is():
    result = TrainResult(
        config=Path('c.py'),
        work_dir=Path('w'),
        checkpoint=Path('w/best.pth'),
        mious={100: 20.0, 200: 31.5, 300: 30.25},
        curves=None,
    )
    assert (result.last_miou, result.best_miou, result.best_iteration) == (30.25, 31.5, 200)
    text = str(result)
    assert 'last 30.25, best 31.50 at iteration 200' in text
    assert 'mmattn test c.py w/best.pth' in text
    assert 'curves' not in text
    nothing = TrainResult(Path('c.py'), Path('w'), None, {}, None)
    assert str(nothing) == repr(nothing) == 'Training is done. Work dir: w'


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """The toy set; its folder."""
    root = tmp_path_factory.mktemp('data')
    generate_toy_scenes(root / 'toy')
    return root


@pytest.fixture
def train_small(toy, monkeypatch, tmp_path):
    """Train the small model of the e2e tests in this process, with more options."""
    monkeypatch.setenv('MMATTN_DATA', str(toy))

    def train_small(*options: str, folder: str = 'run', **arguments):
        pairs = (option.split('=', 1) for option in (*SMALL, *options))
        options = {key: DictAction._parse_iterable(value) for key, value in pairs}
        arguments = {'check_data': 'off', **arguments}
        return train_model(CONFIG, work_dir=tmp_path / folder, cfg_options=options, **arguments)

    return train_small


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('optim_wrapper.optimizer.learning_rate=1', "unexpected keyword argument 'learning_rate'"),
        ('param_scheduler.0.pwoer=1', "unexpected keyword argument 'pwoer'"),
        ('model.backbone.depth=19', 'KeyError.*invalid depth 19'),
        ('train_dataloader.persistent_workers=True', 'persistent_workers option needs'),
        ('train_dataloader.batch_size=abc', 'batch_size=abc'),
        ('model.decode_head.num_classes=2', 'label .* holds .*--check-data full'),
    ],
)
def test_wrong_settings_are_told_in_one_line(train_small, option, message):
    with pytest.raises(UserError, match=message) as error:
        train_small(option)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('resume=True',), 'nothing to resume in .*run'),
        (('resume=True', 'load_from=none/iter_5.pth'), 'none/iter_5.pth is not a file'),
    ],
)
def test_the_config_may_ask_for_resuming(train_small, options, message):
    with pytest.raises(UserError, match=message):
        train_small(*options)


def test_results_of_several_metrics_are_found(train_small):
    options = ('train_cfg.max_iters=2', 'train_cfg.val_interval=1', 'val_evaluator.prefix=rare')
    best = 'default_hooks.checkpoint.save_best=[rare/mIoU,rare/aAcc]'
    result = train_small(*options, best)
    assert sorted(result.mious) == [1, 2]
    assert result.checkpoint.name == f'best_rare_mIoU_iter_{result.best_iteration}.pth'


def test_deterministic_runs_end_with_equal_weights(train_small, tmp_path, monkeypatch):
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', '')  # so that it is gone again afterwards
    monkeypatch.delenv('CUBLAS_WORKSPACE_CONFIG')
    try:
        for folder in 'ab':
            options = ('train_cfg.max_iters=2', 'train_cfg.val_begin=9')
            train_small(*options, folder=folder, seed=3, deterministic=True)
    finally:
        torch.use_deterministic_algorithms(False)
    assert os.environ['CUBLAS_WORKSPACE_CONFIG'] == ':4096:8'
    first, second = (safe_load(tmp_path / f'{folder}/iter_2.pth')['state_dict'] for folder in 'ab')
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_any_number_of_runs_in_one_process_give_what_as_many_processes_give(train_small, tmp_path):
    options = ('train_cfg.max_iters=2', 'train_cfg.val_interval=1')
    results = [train_small(*options, folder=folder, seed=3) for folder in 'abc']
    for result in results:
        assert result.work_dir == tmp_path / result.work_dir.name
        assert sorted(result.mious) == [1, 2]
        assert result.mious == results[0].mious
        assert result.curves.is_file()
        (scalars,) = result.work_dir.glob('*/vis_data/scalars.json')
        steps = [json.loads(line)['step'] for line in scalars.read_text().splitlines()]
        assert steps == [1, 1, 2, 2]
        (log,) = result.work_dir.glob('*/*.log')
        assert str(log) in log.read_text()
        assert not [
            other
            for other in results
            if other is not result and f'{other.work_dir}/' in log.read_text()
        ]


def test_what_was_rolled_back_has_no_part_in_the_summary(tmp_path):
    starts = ([(2, 50.0), (4, 60.0)], [(3, None), (6, 55.0)])  # the second resumed from iteration 2
    for number, start in enumerate(starts):
        lines = [{'loss': 1.0, 'step': step} for step, _ in start]
        lines += [{'mIoU': miou, 'step': step} for step, miou in start if miou]
        file = tmp_path / f'{number}/vis_data/scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    runner = SimpleNamespace(work_dir=tmp_path, message_hub=SimpleNamespace(runtime_info={}))
    assert _result(Path('c.py'), runner).mious == {2: 50.0, 6: 55.0}
