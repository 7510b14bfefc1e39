"""A training that waits for its data says so, and what to do about it."""

import time

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmattn.processor import cores_of_process

WARM_UP = 10  # iterations after the start: workers start, kernels are chosen
WINDOW = 50  # iterations that are judged together
TOO_MUCH = 0.2  # of their time


class DataWaitHook(Hook):
    """Warns once in a run if iterations wait for data for more than a fifth of their time.

    What stands between iterations, such as validations and checkpoints, is no part of their time;
    mmengine's IterTimerHook counts it as waiting for data (``data_time``).
    """

    priority = 'LOWEST'  # so that what other hooks do at the end of an iteration is no waiting

    def __init__(self) -> None:
        self.warned = False
        self.begun = 0.0  # seconds, when the iteration began to wait
        self._start_window(-WARM_UP)

    def before_train_epoch(self, runner: Runner) -> None:
        self.begun = time.perf_counter()

    def after_val(self, runner: Runner) -> None:
        self.begun = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        self.waited += time.perf_counter() - self.begun

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        now = time.perf_counter()
        self.total += now - self.begun
        self.begun = now
        self.iterations += 1
        if self.iterations == WINDOW and not self.warned:
            self.warned = self.waited > TOO_MUCH * self.total
            if self.warned:
                workers = runner.train_dataloader.num_workers
                runner.logger.warning(
                    f'training waits for data: {100 * self.waited / self.total:.0f} % of the time '
                    f'of the last {WINDOW} iterations. {remedy(workers, cores_of_process())}'
                )
        if self.iterations in (0, WINDOW):
            self._start_window(0)

    def _start_window(self, iterations: int) -> None:
        self.iterations, self.waited, self.total = iterations, 0.0, 0.0


def remedy(workers: int, cores: int) -> str:
    """What helps a training that waits for data.

    Args:
        workers: Processes that load data now, 0 where the training does it itself.
        cores: That this process may use.
    """
    present = f'train_dataloader.num_workers is {workers}, and usable cores are {cores}: '
    if workers < cores:
        also = ' train_dataloader.persistent_workers=True' if workers == 0 else ''
        return f'{present}raise it, --cfg-options train_dataloader.num_workers={cores}{also}'
    return (
        f'{present}more workers help where they wait for the disk; else copy the data to a local '
        'disk, or make its images smaller beforehand'
    )
