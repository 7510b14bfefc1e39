"""Pixels-major memory layout for the model."""

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Puts the model's weights into channels_last before a run; convolutions then keep that layout.

    The layout changes speed, not results, and checkpoints do not record it.
    """

    def before_run(self, runner: Runner) -> None:
        runner.model.to(memory_format=torch.channels_last)
