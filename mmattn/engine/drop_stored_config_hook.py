"""Resuming without running code out of the checkpoint."""

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class DropStoredConfigHook(Hook):
    """Takes the config text out of a loaded checkpoint.

    When resuming, mmengine executes that text as Python to read one outdated setting. A checkpoint
    that was loaded safely must not run code by this door.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint.get('meta', {}).pop('config', None)
