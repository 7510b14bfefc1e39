"""A test run with the faster model."""

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmattn.engine.optimized import CheckedModel, optimized


@HOOKS.register_module()
class OptimizeHook(Hook):
    """Tests with what `optimized` makes of the model, which is checked on the first images.

    Samples have no ``seg_logits`` then, but where a model averages over views of an image.
    """

    priority = 'VERY_LOW'  # after hooks that exchange weights, such as the EMAHook

    def before_test_epoch(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        averages = isinstance(model, BaseTTAModel)
        fast = optimized(model, keep_logits=averages, settings=runner.cfg.model)
        runner.model = CheckedModel(model, fast)
