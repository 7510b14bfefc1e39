"""Checkpoints that a kill at any moment leaves resumable."""

from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmattn.engine import checkpoints


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, but an outdated checkpoint goes only when the new one is there.

    mmengine removes it first: with `max_keep_ckpts=1`, a run killed while it saves has none left.
    A run with this hook reads and writes checkpoints by `mmattn.engine.checkpoints`, whichever tool
    started it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        checkpoints.install()
        super().__init__(*args, **kwargs)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if self.max_keep_ckpts <= 0:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        before = list(self.keep_ckpt_ids)  # a deque of max_keep_ckpts: a new one pushes one out
        self.max_keep_ckpts += 1  # so that mmengine sees no need to remove any
        try:
            super()._save_checkpoint_with_step(runner, step, meta)
        finally:
            self.max_keep_ckpts -= 1
        for outdated in set(before).difference(self.keep_ckpt_ids):
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(outdated))
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)
