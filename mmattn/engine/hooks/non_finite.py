"""A training that has diverged stops, and its last good checkpoint stays."""

from pathlib import Path

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmattn.engine.finite import non_finite
from mmattn.engine.record import run_checkpoints
from mmattn.engine.step_guard import StepGuard
from mmattn.errors import DivergedError

REMEDY = 'lower the learning rate, or clip gradients (optim_wrapper.clip_grad.max_norm=1)'


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Skips steps whose loss or gradients are not finite, and ends a run that has only such ones.

    Weights that are not finite are never saved. Every run of ``mmattn.apis.train`` has this hook; a
    config that lists it chooses the patience.

    Args:
        patience: So many skipped steps in a row end the run.

    Raises:
        DivergedError: By the hook, in the run.
    """

    priority = 'ABOVE_NORMAL'  # before the hooks that log and save

    def __init__(self, patience: int = 10) -> None:
        self.patience = patience
        self.guards: list[StepGuard] = []

    def before_train(self, runner: Runner) -> None:
        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        self.guards = [StepGuard(each, runner.model) for each in wrappers]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        skipped = max(guard.skipped_in_a_row for guard in self.guards)
        if not skipped:
            return
        iteration = runner.iter + 1
        what = f'loss or gradients are not finite at iteration {iteration}'
        if skipped < self.patience:
            runner.logger.warning(f'{what}: step skipped ({skipped} in a row)')
            return
        raise DivergedError(
            f'training diverged: {what}, and {skipped} steps in a row were skipped. '
            f'{_files(data_batch)}{_last(runner)}. Look at the data, {REMEDY}'
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        names = non_finite(checkpoint['state_dict'])
        if names:
            raise DivergedError(
                f'training diverged: by iteration {runner.iter + 1} {len(names)} entries of the '
                f'model hold NaN or infinity, such as {names[0]}; they are not saved. '
                f'{_last(runner)}. Look at the data, {REMEDY}'
            )

    def after_train(self, runner: Runner) -> None:
        for guard in self.guards:
            guard.remove()
        self.guards = []


def _files(data_batch: dict | None) -> str:
    samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []
    paths = [str(sample.get('img_path')) for sample in samples if sample.get('img_path')]
    return f'Its batch: {", ".join(paths)}. ' if paths else ''


def _last(runner: Runner) -> str:
    saved: list[Path] = run_checkpoints(runner.work_dir)
    return f'The last checkpoint: {saved[-1]}' if saved else 'No checkpoint had been saved'
