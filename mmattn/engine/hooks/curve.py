"""The picture of a training run."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmattn.errors import UserError
from mmattn.visualization import plot_curves


@HOOKS.register_module()
class CurveHook(Hook):
    """Draws loss and mIoU over iterations into ``<work_dir>/curves.png``.

    Again after every validation and at the end of training, so that a run can be watched. A resumed
    run goes on in the same picture: the scalars of all its starts are read.
    """

    priority = 'VERY_LOW'  # after LoggerHook has written the scalars

    training = False

    def before_train(self, runner: Runner) -> None:
        self.training = True

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if self.training:
            self._draw(runner)

    def after_train(self, runner: Runner) -> None:
        self._draw(runner)

    @master_only
    def _draw(self, runner: Runner) -> None:
        try:
            plot_curves(scalar_files(runner.work_dir), curve_path(runner.work_dir))
        # A run too short to have logged anything is no failure; a full disk must not end a run.
        except (UserError, OSError) as error:
            runner.logger.warning(f'no curve picture: {error}')


def curve_path(work_dir: str | Path) -> Path:
    """The picture that CurveHook draws."""
    return Path(work_dir) / 'curves.png'


def scalar_files(work_dir: str | Path) -> list[Path]:
    """The scalars of every start of the run in a work dir, oldest first."""
    return sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
