"""A live bar where someone watches."""

import logging
import sys
from collections.abc import Sequence

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmattn.engine import screen
from mmattn.evaluation.scores import miou_of


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows iterations, time left, loss and the latest mIoU as a live bar on a terminal.

    In a log (any stdout that is no terminal) it shows nothing: there mmengine's LoggerHook prints
    plain lines with an ETA. On a terminal those lines would repeat the bar; they go to the log file
    only, everything else is printed above the bar.
    """

    priority = 'VERY_LOW'  # after the hooks that put loss and metrics into the message hub

    def __init__(self) -> None:
        self.bar: Progress | None = None
        self.tasks: dict[str, int] = {}

    def before_run(self, runner: Runner) -> None:
        console = Console()
        if not (is_main_process() and console.is_terminal and sys.stdout.isatty()):
            return
        self.bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn('time left'),
            TimeRemainingColumn(),
            TextColumn('{task.fields[note]}'),
            console=console,
            expand=True,
        )
        self.bar.start()  # replaces sys.stdout by one that prints above the bar
        # A run that fails never reaches after_run, and the bar hides the cursor while it lives.
        screen.when_over(self.bar.stop)
        for handler in screen.handlers(runner.logger):
            handler.setStream(sys.stdout)
            handler.addFilter(_not_progress)

    def after_run(self, runner: Runner) -> None:
        if self.bar is None:
            return
        self.bar.stop()
        for handler in screen.handlers(runner.logger):
            handler.setStream(sys.stdout)
            handler.removeFilter(_not_progress)
        self.bar = None

    def before_train(self, runner: Runner) -> None:
        self._begin('train', runner.max_iters, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        self._note_train(runner, runner.iter + 1)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        # After the last iteration no other one brings the new mIoU to the bar.
        self._note_train(runner, runner.iter)

    def before_val(self, runner: Runner) -> None:
        self._begin('val', len(runner.val_dataloader))

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: Sequence | None = None
    ) -> None:
        self._advance('val', batch_idx + 1)

    def after_val(self, runner: Runner) -> None:
        if self.bar is not None:
            self.bar.remove_task(self.tasks.pop('val'))

    def before_test(self, runner: Runner) -> None:
        self._begin('test', len(runner.test_dataloader))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: Sequence | None = None
    ) -> None:
        self._advance('test', batch_idx + 1)

    def _begin(self, name: str, total: int, completed: int = 0) -> None:
        if self.bar is not None:
            self.tasks[name] = self.bar.add_task(name, total=total, completed=completed, note='')

    def _note_train(self, runner: Runner, completed: int) -> None:
        if self.bar is None or 'train' not in self.tasks:
            return
        scalars = runner.message_hub.log_scalars
        validated = {key: value for key, value in scalars.items() if key.startswith('val/')}
        parts = (('loss', scalars.get('train/loss'), '.3f'), ('mIoU', miou_of(validated), '.2f'))
        note = '  '.join(
            f'{name} {scalar.current():{digits}}' for name, scalar, digits in parts if scalar
        )
        self.bar.update(self.tasks['train'], completed=completed, note=note)

    def _advance(self, name: str, completed: int) -> None:
        if self.bar is not None:
            self.bar.update(self.tasks[name], completed=completed)


def _not_progress(record: logging.LogRecord) -> bool:
    """False for LoggerHook's lines about iterations; its lines with metrics pass."""
    message = record.getMessage()
    return not (message.startswith(('Iter(', 'Epoch(')) and 'eta: ' in message)
