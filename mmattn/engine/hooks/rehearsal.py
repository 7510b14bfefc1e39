"""What a training does only after hours, done once before its first iteration."""

import copy
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner, autocast
from torch import nn

from mmattn.engine.checkpoints import safe_load
from mmattn.engine.settings import check_names, hooks_of
from mmattn.errors import UserError, explain_settings

FOLDER = '.rehearsal'  # in the work dir; what a killed run left goes with the next one


class RehearsalHook(Hook):
    """Validates one batch and writes one checkpoint before training, which takes seconds.

    A misspelt metric or setting, a full disk and a folder that cannot be written to are told then,
    and not after the first interval. Nothing of the run changes: random states, running statistics,
    logs and the order of the data stay as they were. All processes take part, since metrics are
    collected from all.

    Raises:
        UserError: By the hook, in the run.
    """

    priority = 'LOWEST'  # when all others are ready

    def before_train(self, runner: Runner) -> None:
        began = time.monotonic()
        with explain_settings(), _undisturbed(runner):
            proved = [_validate(runner)] if runner.val_loop is not None else []
            proved += [_save(runner, hook) for hook in hooks_of(runner, CheckpointHook)]
        if proved:
            seconds = time.monotonic() - began
            runner.logger.info(f'rehearsed in {seconds:.1f} s: {"; ".join(proved)}')


@contextmanager
def _undisturbed(runner: Runner) -> Iterator[None]:
    """Put random states back and keep the log silent (metrics print tables)."""
    states = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        runner.logger.disabled = True
        try:
            yield
        finally:
            runner.logger.disabled = False
            random.setstate(states[0])
            np.random.set_state(states[1])


def _validate(runner: Runner) -> str:
    """One batch through model and metrics; the metrics that hooks wait for are among them."""
    loop = runner.val_loop
    dataset = loop.dataloader.dataset
    size = min(loop.dataloader.batch_size or 1, len(dataset))
    # Not by the loader, whose workers and sampler would be further on afterwards.
    batch = loop.dataloader.collate_fn([dataset[index] for index in range(size)])
    model = _bare(runner.model)
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), autocast(enabled=getattr(loop, 'fp16', False)):
            outputs = model.val_step(batch)
    finally:
        model.train(training)
    loop.evaluator.process(data_samples=outputs, data_batch=batch)
    metrics = loop.evaluator.evaluate(len(outputs))
    for hook in hooks_of(runner, CheckpointHook):
        best = hook.save_best or []
        check_names('default_hooks.checkpoint.save_best', best, {*metrics, 'auto'})
    for hook in hooks_of(runner, EarlyStoppingHook):
        check_names('EarlyStoppingHook.monitor', [hook.monitor], metrics)
    return f'validation ({", ".join(metrics)})'


def _save(runner: Runner, hook: CheckpointHook) -> str:
    """A checkpoint as the hook saves it, written, read and removed."""
    folder = Path(runner.work_dir, FOLDER)
    if is_main_process():
        shutil.rmtree(folder, ignore_errors=True)
    try:
        runner.save_checkpoint(
            str(folder),
            'checkpoint.pth',
            save_optimizer=hook.save_optimizer,
            save_param_scheduler=hook.save_param_scheduler,
            by_epoch=hook.by_epoch,
            **hook.args,
        )
        if not is_main_process():
            return ''
        file = folder / 'checkpoint.pth'
        safe_load(file, map_location='cpu')
        size = file.stat().st_size
    finally:
        if is_main_process():
            shutil.rmtree(folder, ignore_errors=True)
    weights = sum(x.nbytes for x in _bare(runner.model).state_dict().values())
    full = max(size, size + _state_to_come(runner.optim_wrapper) * hook.save_optimizer)
    files = _files_at_once(runner, hook)
    present = sum(path.stat().st_size for path in Path(runner.work_dir).glob('*.pth'))
    needed = files * full + len(hook.save_best or []) * weights - present
    free = shutil.disk_usage(runner.work_dir).free
    if free < needed:
        raise UserError(
            f'{runner.work_dir} has {_readable(free)} free, but the checkpoints of this run will '
            f'take {_readable(needed)}: {files} of {_readable(full)} at once'
            f'{", and the best" * bool(hook.save_best)}. Make room, name another --work-dir, or '
            'keep fewer (default_hooks.checkpoint.max_keep_ckpts)'
        )
    return (
        f'checkpoint written and read ({_readable(full)}, {files} at once, {_readable(free)} free)'
    )


def _files_at_once(runner: Runner, hook: CheckpointHook) -> int:
    """How many checkpoints there are while a new one is written, before an outdated one goes."""
    done, last = (
        (runner.epoch, runner.max_epochs) if hook.by_epoch else (runner.iter, runner.max_iters)
    )
    saves = max(last - done, 1) // hook.interval + 1 if hook.interval > 0 else 1
    return min(saves, hook.max_keep_ckpts + 1) if hook.max_keep_ckpts > 0 else saves


def _state_to_come(wrapper: OptimWrapper) -> int:
    """Bytes of state that an optimizer has after its first step and not before.

    Found by a step of a copy of it on two numbers.
    """
    optimizer = getattr(wrapper, 'optimizer', None)
    if optimizer is None or optimizer.state:
        return 0
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    number = nn.Parameter(torch.zeros(1, dtype=parameters[0].dtype, device=parameters[0].device))
    number.grad = torch.zeros_like(number)
    probe = copy.copy(optimizer)
    probe.state = defaultdict(dict)
    probe.param_groups = [{**optimizer.param_groups[0], 'params': [number]}]
    probe.step()
    state = [x for x in probe.state[number].values() if isinstance(x, torch.Tensor) and x.dim()]
    return len(state) * sum(p.nbytes for p in parameters if p.requires_grad)


def _bare(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def _readable(size: float) -> str:
    return f'{size / 1e9:.1f} GB' if size >= 1e9 else f'{size / 1e6:.0f} MB'
