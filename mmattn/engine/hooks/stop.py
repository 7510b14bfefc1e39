"""A signal ends a training with a checkpoint of the iteration in flight."""

import torch
from mmengine.dist import all_reduce, barrier, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mmattn.engine.sharding import is_sharded
from mmattn.engine.step_guard import anywhere
from mmattn.signals import StopRequest


class StopHook(Hook):
    """Saves and leaves when the iteration is done in which a signal came.

    With several processes, all leave after the same iteration, whichever got the signal. During a
    validation the first process saves, and leaves alone: the others may be at another image, and
    have nothing to save. A sharded model is saved by all, so there they look after each batch.

    Args:
        request: What the signals set.

    Raises:
        KeyboardInterrupt, SystemExit: By the hook, in the run.
    """

    priority = 'LOWEST'  # the iteration is done, logged, and saved where it is the turn

    def __init__(self, request: StopRequest) -> None:
        self.request = request

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        self.request.deferred = True

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        if anywhere(torch.tensor(self.request.received is not None)):
            self._leave(runner, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        if is_sharded(runner.model):
            batches = torch.tensor(len(runner.val_dataloader))
            all_reduce(batches, 'min')
            self.common_batches = int(batches)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if not self.request.deferred:
            return
        received = self.request.received is not None
        if not is_sharded(runner.model):
            if received and is_main_process():
                self._leave(runner, runner.iter, alone=True)
        elif batch_idx < self.common_batches and anywhere(torch.tensor(received)):
            self._leave(runner, runner.iter)

    def after_train(self, runner: Runner) -> None:
        self.request.deferred = False

    def _leave(self, runner: Runner, iteration: int, alone: bool = False) -> None:
        saved = 'nothing to save'
        for hook in runner.hooks:
            # One that counts epochs would say that this one is complete.
            if isinstance(hook, CheckpointHook) and not hook.by_epoch:
                saved = _save(runner, hook, iteration)
        if not alone:
            barrier()  # a launcher ends the others when the first has left
        self.request.leave(f'ended after iteration {iteration}, {saved}')


def _save(runner: Runner, hook: CheckpointHook, iteration: int) -> str:
    name = hook.filename_tmpl.format(iteration)
    if not str(hook.last_ckpt).endswith(f'/{name}'):
        meta = {'epoch': runner.epoch, 'iter': iteration}
        hook._save_checkpoint_with_step(runner, iteration, meta)
    return f'{name} saved; go on with --resume'
