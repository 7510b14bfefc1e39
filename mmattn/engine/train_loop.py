"""Training by iterations that goes on after a kill as if nothing had happened."""

from typing import Any

from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmattn.engine.randomness import seed_all
from mmattn.engine.seekable import SeekableSampler, seekable


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """mmengine's IterBasedTrainLoop, whose resumed runs equal uninterrupted ones.

    Each iteration begins with random numbers of its own, each sample with those of its position in
    the run, and the data is entered at its position without loading what comes before. A
    validation that the interrupted run owed is made up. A loader that is given whole, or has a
    batch sampler, stays as mmengine resumes it.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, *args: Any, **kwargs: Any):
        found = seekable(dataloader) if isinstance(dataloader, dict) else None
        super().__init__(runner, found or dataloader, *args, **kwargs)

    @property
    def seed(self) -> int:
        """The seed that all processes have in common."""
        differs = self.runner._randomness_cfg.get('diff_rank_seed', False)
        return self.runner.seed - (self.runner.rank if differs else 0)

    @property
    def position(self) -> int:
        """Samples that all processes have drawn so far."""
        drawn = self.runner.message_hub.runtime_info.get('samples_drawn')
        return self._iter * self._samples_per_iteration if drawn is None else drawn

    @property
    def _samples_per_iteration(self) -> int:
        return (self.dataloader.batch_size or 0) * self.runner.world_size

    def run(self) -> nn.Module:
        """The training, from the iteration that it is at."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._validation_is_due() and not self._validation_is_done():
            self.runner.logger.info(
                f'Iteration {self._iter} was saved, but its validation not: it is made up'
            )
            self.runner.val_loop.run()
        self._enter_data()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            if self._validation_is_due():
                self.runner.val_loop.run()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, data_batch: Any) -> None:
        """One iteration; what hooks save at its end counts its samples as drawn."""
        seed_all(self.seed, self._iter, self.runner.rank)
        drawn = self.position + self._samples_per_iteration
        self.runner.message_hub.update_info('samples_drawn', drawn)
        super().run_iter(data_batch)

    def _validation_is_due(self) -> bool:
        self._decide_current_val_interval()
        return (
            self.runner.val_loop is not None
            and self._iter >= max(self.val_begin, 1)
            and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)
        )

    def _validation_is_done(self) -> bool:
        """Whether SafeCheckpointHook has noted one of this iteration."""
        return self._iter in self.runner.message_hub.runtime_info.get('metrics_so_far', {})

    def _enter_data(self) -> None:
        sampler = self.dataloader.sampler
        if isinstance(sampler, SeekableSampler):
            sampler.start_at(self.position, self.seed)
            self.dataloader_iterator = iter(self.dataloader)
        elif self._iter and hasattr(self.dataloader_iterator, 'skip_iter'):
            self.dataloader_iterator.skip_iter(self._iter)
        else:
            for _ in range(self._iter):
                next(self.dataloader_iterator)


def resumable(loop: Any) -> Any:
    """The settings of a training loop; for mmengine's own by iterations, those of ours."""
    if not isinstance(loop, dict) or {'type', 'by_epoch'} <= loop.keys():
        return loop
    by_epoch = EpochBasedTrainLoop if loop.get('by_epoch', True) else IterBasedTrainLoop
    kind = loop.get('type', by_epoch)
    if (LOOPS.get(kind) if isinstance(kind, str) else kind) is not IterBasedTrainLoop:
        return loop
    settings = {key: value for key, value in loop.items() if key not in ('type', 'by_epoch')}
    return dict(type='ResumableTrainLoop', **settings)
