"""What a model attends to, while it learns."""

from collections.abc import Sequence

import mmcv
from mmengine.dist import master_only
from mmengine.fileio import get
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmattn.errors import UserError
from mmattn.visualization.attention_panels import layer_panels
from mmattn.visualization.attention_scene import run_watched
from mmattn.visualization.capture import CapturedAttention


@HOOKS.register_module()
class AttentionHook(Hook):
    """Draws after every validation what the model attends to in one validation image.

    The pictures go to the visual backends of the config's ``visualizer`` (files, TensorBoard,
    Weights & Biases, MLflow, ...), each under the name of its layer and step.

    Args:
        points: Pixels (x, y) of the image that ask; the one in the middle where none is given.
        layers: Names of attention modules; all of the model where none is given.
        index: Number of the image in the validation data.

    Raises:
        UserError: Before training: a model without attention, an unknown layer, no validation data,
            no image of that number, a point outside of it.
    """

    priority = 'ABOVE_NORMAL'  # before the EMAHook takes back the weights that were validated

    def __init__(
        self, points: Sequence[Sequence[int]] = (), layers: Sequence[str] = (), index: int = 0
    ) -> None:
        self.points = [tuple(point) for point in points]
        self.layers = list(layers)
        self.index = index
        self.training = False

    def before_train(self, runner: Runner) -> None:
        known = CapturedAttention(_unwrapped(runner)).modules
        for layer in self.layers:
            if layer not in known:
                raise UserError(
                    f'AttentionHook: unknown layer {layer!r}; known are {", ".join(known)}'
                )
        if runner.val_loop is None:
            raise UserError('AttentionHook draws after validations, and the config has none')
        self.dataset = runner.val_dataloader.dataset
        if not 0 <= self.index < len(self.dataset):
            raise UserError(
                f'AttentionHook: there is no image {self.index}: the validation data has '
                f'{len(self.dataset)}, numbered from 0'
            )
        path = self.dataset.get_data_info(self.index)['img_path']
        self.image = mmcv.imfrombytes(get(path), channel_order='rgb')
        height, width = self.image.shape[:2]
        self.points = self.points or [(width // 2, height // 2)]
        for x, y in self.points:
            if not (0 <= x < width and 0 <= y < height):
                raise UserError(
                    f'AttentionHook: point {x},{y} is outside of {path}, which has {width} x '
                    f'{height} pixels'
                )
        self.training = True

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if self.training:
            self._draw(runner)

    @master_only
    def _draw(self, runner: Runner) -> None:
        model = _unwrapped(runner)
        packed = self.dataset[self.index]
        captured, scene = run_watched(model, packed, self.image, self.dataset.metainfo)
        try:
            for name in self.layers or captured.layers:
                for panel in layer_panels(captured[name], scene, self.points):
                    runner.visualizer.add_image(panel.name, panel.array(), step=runner.iter)
        except OSError as error:  # a full disk must not end a run
            runner.logger.warning(f'no pictures of attention: {error}')


def _unwrapped(runner: Runner):
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
