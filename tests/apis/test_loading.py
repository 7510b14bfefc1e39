"""Workers that fit the machine, pinned memory, and a word about waiting for data."""

import re
import time

import pytest
from mmengine.config import Config, DictAction
from mmseg.registry import DATASETS

from mmattn.apis import options, train
from mmattn.datasets import ToyScenesDataset
from mmattn.engine.hooks import data_wait
from mmattn.processor import cores_of_process

from ..e2e.conftest import CONFIG, SMALL
from . import test_train
from .test_protection import log_of

toy, train_small = test_train.toy, test_train.train_small

WINDOW = 5  # iterations
WINDOWS = (
    f'train_cfg.max_iters={3 * WINDOW}',
    f'train_cfg.val_interval={WINDOW + 1}',
    'val_dataloader.dataset.indices=2',
    'train_dataloader.dataset.indices=2',
    'default_hooks.checkpoint.interval=1000',
    'model.data_preprocessor.size=(32,64)',
    'train_dataloader.dataset.pipeline.2.scale=(64,32)',
    'train_dataloader.dataset.pipeline.3.crop_size=(32,64)',
)


@DATASETS.register_module()
class SlowScenes(ToyScenesDataset):
    """As on a disk that takes a tenth of a second for a batch of two."""

    def __getitem__(self, index):
        time.sleep(0.05)
        return super().__getitem__(index)


@DATASETS.register_module()
class ReadyScenes(ToyScenesDataset):
    """Loaded once, and then at hand."""

    def __getitem__(self, index):
        if index not in vars(self).setdefault('loaded', {}):
            self.loaded[index] = super().__getitem__(index)
        return self.loaded[index]


def warnings_of(train_small, monkeypatch, data: str) -> list[str]:
    monkeypatch.setattr(data_wait, 'WARM_UP', WINDOW)
    monkeypatch.setattr(data_wait, 'WINDOW', WINDOW)
    result = train_small(*WINDOWS, f'train_dataloader.dataset.type={data}')
    return [line for line in log_of(result.work_dir).splitlines() if 'waits for data' in line]


def test_a_training_that_waits_for_data_says_once_what_helps(train_small, monkeypatch):
    monkeypatch.setattr('mmattn.processor.usable_cores', lambda: 6)
    (line,) = warnings_of(train_small, monkeypatch, 'SlowScenes')
    assert 'WARNING' in line
    share = re.search(r'waits for data: (\d+) % of the time of the last 5 iterations', line)
    assert 20 < int(share[1]) < 100
    assert 'train_dataloader.num_workers is 0, and usable cores are 6' in line
    assert '--cfg-options train_dataloader.num_workers=6 ' in line


def test_a_training_whose_data_is_ready_says_nothing(train_small, monkeypatch):
    assert warnings_of(train_small, monkeypatch, 'ReadyScenes') == []


def test_more_workers_than_cores_are_no_remedy():
    assert 'num_workers=4' in data_wait.remedy(workers=1, cores=4)
    assert 'local disk' in data_wait.remedy(workers=4, cores=4)
    assert '--cfg-options' not in data_wait.remedy(workers=4, cores=4)


def settings(workers: int = 4, **loader) -> Config:
    sampler = dict(type='InfiniteSampler')
    loader = dict(num_workers=workers, sampler=sampler, dataset=dict(), **loader)
    train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)
    return Config(
        dict(launcher='none', train_cfg=train_cfg, train_dataloader=loader, val_dataloader=loader)
    )


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr('mmattn.processor.usable_cores', lambda: 2)


def workers_of(cfg: Config) -> tuple[int, int]:
    return cfg.train_dataloader.num_workers, cfg.val_dataloader.num_workers


def test_workers_are_no_more_than_cores():
    cfg = settings()
    lines = options.set_loaders(cfg)
    assert workers_of(cfg) == (2, 2)
    assert len(lines) == 2
    assert 'train_dataloader.num_workers is 2 instead of 4' in lines[0]
    assert '--cfg-options train_dataloader.num_workers=4' in lines[0]
    for few in (0, 1, 2):
        cfg = settings(few)
        assert options.set_loaders(cfg) == []
        assert workers_of(cfg) == (few, few)


def test_processes_of_torchrun_share_the_cores(monkeypatch):
    for processes in ('2', '8'):
        monkeypatch.setenv('LOCAL_WORLD_SIZE', processes)
        cfg = settings()
        cfg.launcher = 'pytorch'
        options.set_loaders(cfg)
        assert workers_of(cfg) == (1, 1)


@pytest.mark.parametrize('key', ['train_dataloader.num_workers', 'train_dataloader'])
def test_workers_that_the_user_asks_for_stay(key):
    cfg = settings()
    options.set_loaders(cfg, {key: ...})
    assert workers_of(cfg) == (4, 2)


@pytest.mark.parametrize(
    'settings',
    [
        settings(batch_sampler=dict(type='AspectRatioBatchSampler')),
        Config({**settings().to_dict(), 'train_cfg': dict(by_epoch=True, max_epochs=1)}),
    ],
)
def test_workers_stay_where_random_numbers_depend_on_them(settings):
    assert options.set_loaders(settings) == []
    assert workers_of(settings) == (4, 4)


@pytest.mark.parametrize(('device', 'pinned'), [('cuda', True), ('cpu', None)])
def test_memory_is_pinned_in_training_on_cuda(monkeypatch, device, pinned):
    monkeypatch.setattr(options, 'get_device', lambda: device)
    cfg = settings()
    options.set_loaders(cfg)
    assert cfg.train_dataloader.get('pin_memory') is pinned
    cfg = settings(pin_memory=False)
    options.set_loaders(cfg)
    assert cfg.train_dataloader.pin_memory is False


def test_a_run_says_that_it_has_fewer_workers(toy, monkeypatch, tmp_path):
    monkeypatch.setenv('MMATTN_DATA', str(toy))
    config = tmp_path / 'many.py'
    config.write_text(f"_base_ = '{CONFIG}'\ntrain_dataloader = dict(num_workers=5)")
    more = ('train_cfg.max_iters=1', 'train_cfg.val_begin=9')
    pairs = (option.split('=', 1) for option in (*SMALL, *more) if 'train_dataloader' not in option)
    overrides = {key: DictAction._parse_iterable(value) for key, value in pairs}
    result = train(config, work_dir=tmp_path / 'run', cfg_options=overrides, check_data='off')
    assert 'train_dataloader.num_workers is 2 instead of 5' in log_of(result.work_dir)


def test_processes_on_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr('mmattn.processor.usable_cores', lambda: 8)
    assert cores_of_process() == 8
    for processes, each in (('2', 4), ('3', 2), ('16', 1)):
        monkeypatch.setenv('LOCAL_WORLD_SIZE', processes)
        assert cores_of_process() == each
