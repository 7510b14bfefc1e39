"""Checkpoints that a kill at any moment leaves resumable."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from mmattn.engine import checkpoints
from mmattn.engine.layout import laid_out_as
from mmattn.engine.record import add_metrics, record_path, write_record
from mmattn.engine.sharding import is_sharded, part_of
from mmattn.files import remove_unfinished, write_atomically


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook; an outdated checkpoint goes only when the new one is there.

    mmengine removes it first: a run killed while it saves may have none left. It also removes
    whatever lies at the paths that a resumed checkpoint names. This hook takes only the names from
    there, and removes only files in its own folder that are called as it calls them. Beside each
    checkpoint lies its record (`mmattn.engine.record`). A run with this hook reads and writes
    checkpoints by `mmattn.engine.checkpoints`, whichever tool started it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        checkpoints.install()
        super().__init__(*args, **kwargs)
        self._gradients: dict = {}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._gradients = checkpoint.get('gradients', {}) if runner._resume else {}

    def before_train(self, runner: Runner) -> None:
        info = runner.message_hub.runtime_info
        kept = info.get('keep_ckpt_ids')
        if isinstance(kept, list):
            info['keep_ckpt_ids'] = [step for step in kept if isinstance(step, int)]
        super().before_train(runner)
        for key in [key for key in info if key == 'last_ckpt' or key.startswith('best_ckpt')]:
            info[key] = self._own(info[key])
        self._best_paths = {key: info.get(name) for key, name in self._best_names().items()}
        if runner.iter:
            self.last_ckpt = info.get('last_ckpt')  # mmengine notes a new best in this one
        if is_main_process() and isinstance(self.file_backend, LocalBackend):
            remove_unfinished(Path(runner.work_dir))
            remove_unfinished(Path(self.out_dir))
            self._remove_outdated_best()
        for name, parameter in _bare(runner.model).named_parameters():
            if name in self._gradients:
                whole = self._gradients[name].to(parameter.device)
                if is_sharded(runner.model):
                    parameter.grad = part_of(whole, parameter)
                else:
                    parameter.grad = laid_out_as(parameter, whole)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the gradients of an optimizer step that needs more iterations than it has had."""
        if is_sharded(runner.model):
            return  # this process has a part of them
        named = _bare(runner.model).named_parameters()
        gradients = {name: p.grad.cpu() for name, p in named if p.grad is not None}
        if gradients and 'optimizer' in checkpoint:
            checkpoint['gradients'] = gradients

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        numbers = {key: float(value) for key, value in metrics.items() if _is_number(value)}
        done = runner.message_hub.runtime_info.get('metrics_so_far', {})
        runner.message_hub.update_info('metrics_so_far', {**done, runner.iter: numbers})
        super().after_val_epoch(runner, metrics)
        if self.last_ckpt and is_main_process():
            add_metrics(Path(self.last_ckpt), runner.iter, numbers)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = [self.keep_ckpt_ids[0]]
            self.keep_ckpt_ids.append(step)  # pushes the outdated one out
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self._own(name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._record(runner, meta['iter'], name)
        if is_main_process():
            note = Path(runner.work_dir, 'last_checkpoint')
            write_atomically(note, self.last_ckpt.encode())
            for number in outdated:
                self._remove(self.filename_tmpl.format(number))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best:
            return
        before = self._best_paths
        self._best_paths = dict.fromkeys(before)  # so that mmengine removes none of them
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            after = self._best_paths
            self._best_paths = {key: after[key] or before.get(key) for key in after}
        step = self.filename_tmpl.format(runner.epoch if self.by_epoch else runner.iter)
        self._record(runner, runner.iter, *(f'best_{_in_file(key)}_{step}' for key in after))
        if is_main_process():
            self._remove_outdated_best()

    @property
    def _best_paths(self) -> dict[str, str | None]:
        """The best checkpoint of each metric, which mmengine keeps in two ways."""
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:
            return {self.key_indicators[0]: self.best_ckpt_path}
        return dict.fromkeys(self.key_indicators) | self.best_ckpt_path_dict

    @_best_paths.setter
    def _best_paths(self, paths: dict[str, str | None]) -> None:
        if len(paths) == 1:
            (self.best_ckpt_path,) = paths.values()
        elif paths:
            self.best_ckpt_path_dict = dict(paths)

    def _best_names(self) -> dict[str, str]:
        """What the message hub calls them."""
        several = len(self._best_paths) > 1
        return {key: f'best_ckpt_{key}' if several else 'best_ckpt' for key in self._best_paths}

    def _remove_outdated_best(self) -> None:
        """Remove this folder's best checkpoints from before the ones that are the best now."""
        for key, best in self._best_paths.items():
            form = self._pattern(f'best_{_in_file(key)}_{self.filename_tmpl}')
            now = best and form.fullmatch(Path(best).name)
            if not now or not self.file_backend.isfile(best):
                continue
            for name in self.file_backend.list_dir_or_file(self.out_dir, list_dir=False):
                found = form.fullmatch(name)
                if found and int(found[1]) < int(now[1]):
                    self._remove(name)

    @staticmethod
    def _pattern(template: str) -> re.Pattern:
        return re.compile(re.escape(template).replace(r'\{\}', r'(\d+)'))

    def _own(self, path: str) -> str:
        """The path in this run's own folder of what a path, here or elsewhere, names."""
        return self.file_backend.join_path(self.out_dir, Path(str(path)).name)

    def _remove(self, name: str) -> None:
        for path in (self._own(record_path(Path(name)).name), self._own(name)):
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _record(self, runner: Runner, iteration: int, *names: str) -> None:
        """Write the records of those of these checkpoints that have been written."""
        if not is_main_process() or not isinstance(self.file_backend, LocalBackend):
            return
        for path in (Path(self._own(name)) for name in names):
            # The backend removes the record of a checkpoint that it writes anew.
            if path.is_file() and not record_path(path).is_file():
                write_record(path, runner, iteration)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _in_file(indicator: str) -> str:
    return indicator.replace('/', '_')


def _bare(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model
