"""Pixels-major memory layout for the model."""

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Puts the model's weights into channels_last before a run; convolutions then keep that layout.

    The layout changes speed, results by rounding alone, and what a seed gives: initial weights and
    dropouts are drawn in the order of the memory. Runs with it and without it go on from each
    other's checkpoints (see `mmattn.engine.layout`). Every training with ``--amp`` has it, where
    that is not left out.
    """

    def before_run(self, runner: Runner) -> None:
        runner.model.to(memory_format=torch.channels_last)
