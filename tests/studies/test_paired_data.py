"""Variants of a seed see the same images and labels, whatever their models draw."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import Tensor

from mmattn.apis import train
from mmattn.studies.folder import write_configs
from mmattn.studies.plan import load_study

pytestmark = pytest.mark.e2e


@HOOKS.register_module()
class BatchRecorder(Hook):
    """Keeps the batches of a training, and what torch would draw after each."""

    batches: list[tuple[Tensor, Tensor]] = []
    draws: list[float] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        labels = [sample.gt_sem_seg.data for sample in data_batch['data_samples']]
        self.batches.append((torch.stack(data_batch['inputs']), torch.stack(labels)))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        with torch.random.fork_rng():
            self.draws.append(torch.rand(1).item())


@pytest.fixture
def batches_of(write_study, tmp_path, monkeypatch):
    """The batches of a training of a variant, and draws of torch after each iteration."""
    file = write_study(iterations=3)
    text = file.read_text().replace(
        'options = {', "options = {'custom_hooks': [dict(type='BatchRecorder')],"
    )
    draws = "'model.decode_head.dropout_ratio': {}, 'model.auxiliary_head.dropout_ratio': {}"
    text = text.replace('none=dict()', f'none={{{draws.format(0, 0)}}}')
    text = text.replace('se={', f'se={{{draws.format(0.5, 0.5)},')
    file.write_text(text)
    configs = write_configs(load_study(file), tmp_path / 'work')

    def run(variant: str, seed: int) -> tuple[list[tuple[Tensor, Tensor]], list[float]]:
        monkeypatch.setattr(BatchRecorder, 'batches', [])
        monkeypatch.setattr(BatchRecorder, 'draws', [])
        train(configs[variant], work_dir=tmp_path / f'{variant}{seed}', seed=seed)
        return BatchRecorder.batches, BatchRecorder.draws

    return run


def test_a_model_that_draws_random_numbers_sees_the_data_of_one_that_draws_none(batches_of):
    plain, plain_draws = batches_of('none', 0)
    dropping, draws = batches_of('se', 0)
    assert len(plain) == len(dropping) == 3
    assert all(a != b for a, b in zip(plain_draws, draws, strict=True)), 'no dropout has drawn'
    for batch, other in zip(plain, dropping, strict=True):
        assert all(torch.equal(*pair) for pair in zip(batch, other, strict=True))
    assert not torch.equal(plain[0][0], plain[1][0])

    of_another_seed, _ = batches_of('none', 1)
    for batch, other in zip(plain, of_another_seed, strict=True):
        assert not any(torch.equal(*pair) for pair in zip(batch, other, strict=True))
