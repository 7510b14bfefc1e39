"""A run that goes on from a checkpoint equals one that was never interrupted."""

import copy
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, TRANSFORMS
from torch import nn
from torch.utils.data import DataLoader

from mmattn.engine.checkpoints import safe_load
from mmattn.engine.hooks import SafeCheckpointHook
from mmattn.engine.runner import Runner, separate_run
from mmattn.engine.seekable import Draw, SeededDataset, SeekableSampler

SAVING = dict(by_epoch=False, interval=1, save_best='score', rule='greater')
SAMPLES = 7  # no multiple of the batch: the run goes on in the middle of an epoch


@DATASETS.register_module()
class Numbers(BaseDataset):
    METAINFO = dict(classes=('a', 'b'), palette=[[0, 0, 0], [1, 1, 1]])

    def load_data_list(self):
        return [dict(number=float(number)) for number in range(SAMPLES)]


@TRANSFORMS.register_module()
class Augment:
    """Draws from each source of random numbers that transforms draw from."""

    def __call__(self, results):
        noise = torch.randn(3) + random.random() + np.random.rand()
        return dict(inputs=noise + results['number'])


@TRANSFORMS.register_module()
class Keep:
    def __call__(self, results):
        return dict(inputs=torch.full((3,), results['number']))


@METRICS.register_module()
class WeightNorm(BaseMetric):
    default_prefix = None

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(score=float(np.mean(results)))


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, inputs, mode='tensor'):
        output = self.layer(torch.stack(inputs))
        return {'loss': output.square().mean()} if mode == 'loss' else [float(-output.mean())]


def loader(workers=0, sampler='InfiniteSampler', size=2) -> dict:
    return dict(
        batch_size=size,
        num_workers=workers,
        persistent_workers=workers > 0,
        sampler=dict(type=sampler, shuffle=True),
        dataset=dict(type='Numbers', pipeline=[dict(type='Augment')]),
    )


def train(work_dir: Path, iterations: int, *, resume=False, hook=None, **settings) -> dict:
    """Train to an iteration; what is saved there."""
    validation = loader()
    validation['sampler'] = dict(type='DefaultSampler', shuffle=False)
    validation['dataset'] = dict(type='Numbers', pipeline=[dict(type='Keep')])
    options = dict(
        randomness=dict(seed=5, deterministic=True),
        train_dataloader=loader(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-4, momentum=0.9)),
        train_cfg=dict(by_epoch=False, max_iters=iterations, val_interval=2),
    )
    torch.manual_seed(0)
    with separate_run():
        runner = Runner(
            model=Model(),
            work_dir=str(work_dir),
            val_dataloader=validation,
            val_evaluator=dict(type='WeightNorm'),
            val_cfg=dict(),
            default_scope='mmseg',
            default_hooks=dict(checkpoint=hook or SafeCheckpointHook(**SAVING)),
            load_from=str(resume) if resume else None,
            resume=bool(resume),
            experiment_name='exact resume',
            **{**options, **settings},
        )
        runner.train()
    return safe_load(work_dir / f'iter_{iterations}.pth')


def assert_equal(left, right):
    """Nested dictionaries, tensors compared to the bit."""
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right)
    elif isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_equal(left[key], right[key])
    elif isinstance(left, list | tuple):
        for a, b in zip(left, right, strict=True):
            assert_equal(a, b)
    else:
        assert left == right


def assert_same_run(left: dict, right: dict):
    assert_equal(left['state_dict'], right['state_dict'])
    assert_equal(left['optimizer'], right['optimizer'])
    infos = [state['message_hub']['runtime_info'] for state in (left, right)]
    for key in ('metrics_so_far', 'best_score', 'samples_drawn', 'iter'):
        assert_equal(infos[0][key], infos[1][key])
    assert Path(infos[0]['best_ckpt']).name == Path(infos[1]['best_ckpt']).name


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> dict:
    return train(tmp_path_factory.mktemp('whole'), 7)


class Interrupted(Exception):
    pass


class Stops(SafeCheckpointHook):
    """As a kill after the save of the third iteration."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if runner.iter == 2:
            raise Interrupted


@pytest.mark.parametrize(('before', 'after'), [(0, 0), (2, 0), (0, 2), (1, 2)])
def test_a_resumed_run_equals_an_uninterrupted_one(whole, tmp_path, before, after):
    with pytest.raises(Interrupted):
        train(tmp_path, 7, train_dataloader=loader(before), hook=Stops(**SAVING))
    state = tmp_path / 'iter_3.pth'
    assert_same_run(train(tmp_path, 7, resume=state, train_dataloader=loader(after)), whole)


def test_random_numbers_do_matter_here(whole, tmp_path):
    other = train(tmp_path, 7, randomness=dict(seed=6))
    weights = [state['state_dict']['layer.0.weight'] for state in (whole, other)]
    assert not torch.equal(*weights)


def test_a_sampler_with_epochs_is_entered_in_the_right_one(tmp_path):
    settings = dict(train_dataloader=loader(sampler='DefaultSampler'))
    whole = train(tmp_path / 'whole', 8, **settings)
    train(tmp_path / 'parts', 6, **settings)
    resumed = train(tmp_path / 'parts', 8, resume=tmp_path / 'parts/iter_6.pth', **settings)
    assert_same_run(resumed, whole)


def test_gradients_that_wait_for_more_iterations_are_kept(tmp_path):
    settings = dict(
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-4), accumulative_counts=3),
        train_cfg=dict(by_epoch=False, max_iters=6, val_interval=6),
    )
    whole = train(tmp_path / 'whole', 6, **settings)
    assert 'gradients' in safe_load(tmp_path / 'whole/iter_4.pth')
    resumed = train(tmp_path / 'parts', 6, resume=tmp_path / 'whole/iter_4.pth', **settings)
    assert_same_run(resumed, whole)


def test_a_seed_that_nobody_chose_goes_on_too(tmp_path):
    whole = train(tmp_path / 'whole', 4, randomness=dict(seed=None))
    resumed = train(
        tmp_path / 'parts', 4, resume=tmp_path / 'whole/iter_2.pth', randomness=dict(seed=None)
    )
    assert_same_run(resumed, whole)


def test_another_batch_size_goes_on_with_the_samples_not_drawn_yet(tmp_path):
    train(tmp_path, 2)
    state = train(tmp_path, 4, resume=tmp_path / 'iter_2.pth', train_dataloader=loader(size=1))
    assert state['message_hub']['runtime_info']['samples_drawn'] == 2 * 2 + 2 * 1


def test_what_the_sampler_draws_depends_on_the_position_alone():
    data = list(range(5))
    sampler = SeekableSampler(dict(type='InfiniteSampler'), data, seed=3)
    draws = list(islice(sampler, 20))
    assert [draw.position for draw in draws] == list(range(20))
    for start in (0, 1, 7, 13):
        sampler.start_at(start, seed=3)
        for _ in range(2):  # iterating again begins at the start again
            assert [draw for draw, _ in zip(sampler, range(20 - start), strict=False)] == draws[
                start:
            ]


def test_processes_share_the_order_and_no_random_numbers(monkeypatch):
    def draws(rank, size, start=0):
        monkeypatch.setattr('mmattn.engine.seekable.get_dist_info', lambda: (rank, size))
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, size))
        sampler = SeekableSampler(dict(type='InfiniteSampler'), list(range(10)), seed=3)
        sampler.start_at(start, seed=3)
        return list(islice(sampler, 12 // size))

    alone = draws(0, 1)
    assert sorted(draws(0, 2) + draws(1, 2), key=lambda draw: draw.position) == alone
    # Four samples were drawn by one process; two go on with the fifth.
    later = sorted(draws(0, 2, 4) + draws(1, 2, 4), key=lambda draw: draw.position)
    assert later[:8] == alone[4:]


def test_loading_a_sample_leaves_the_random_numbers_of_the_process():
    torch.manual_seed(1)
    before = torch.rand(2)
    torch.manual_seed(1)
    data = SeededDataset(dict(type='Numbers', pipeline=[dict(type='Augment')]))
    first, again, other = data[Draw(1, 5, 0)], data[Draw(1, 5, 0)], data[Draw(1, 5, 1)]
    assert torch.equal(torch.rand(2), before)
    assert torch.equal(first['inputs'], again['inputs'])
    assert not torch.equal(first['inputs'], other['inputs'])
    assert data.metainfo['classes'] == ('a', 'b')
    copy.deepcopy(data), next(iter(DataLoader(data, num_workers=1)))


class StopsBeforeValidating(SafeCheckpointHook):
    """As a kill between the save and the end of the validation."""

    def before_val(self, runner):
        if runner.iter == 4:
            raise Interrupted


@pytest.mark.parametrize('last', [True, False])
def test_a_validation_that_was_cut_off_is_made_up(tmp_path, last):
    iterations = 4 if last else 6
    whole = train(tmp_path / 'whole', iterations)
    cut = tmp_path / 'cut'
    with pytest.raises(Interrupted):
        train(cut, iterations, hook=StopsBeforeValidating(**SAVING))
    assert not list(cut.glob('best_*_iter_4.pth'))
    resumed = train(cut, iterations, resume=cut / 'iter_4.pth')
    assert_equal(resumed['state_dict'], whole['state_dict'])
    best = [sorted(f.name for f in d.glob('best_*')) for d in (tmp_path / 'whole', cut)]
    assert best[0] == best[1] != []
    scores = [
        safe_load(folder / best[0][1])['message_hub']['runtime_info']['metrics_so_far']
        for folder in (tmp_path / 'whole', cut)
    ]
    assert scores[0] == scores[1]
