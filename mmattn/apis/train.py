"""Train a model from a config."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmattn.apis.checkpoint import check_checkpoint, latest_checkpoint, run_checkpoints
from mmattn.apis.config import explain_settings, heads_of, load_config, require_keys
from mmattn.apis.preflight import is_first_process, on_cpu, set_launcher, set_work_dir
from mmattn.apis.pretrained import drop_pretrained, fetch_pretrained
from mmattn.engine import DropStoredConfigHook
from mmattn.engine.curve_hook import curve_path, scalar_files
from mmattn.errors import UserError
from mmattn.preflight.data import check_data as check_data_sets
from mmattn.visualization.curves import read_curves


@dataclass(frozen=True)
class TrainResult:
    """Where a training run ended; printed, it is a summary for people."""

    config: Path
    work_dir: Path
    checkpoint: Path | None  # the one to use: the best, or else the last
    mious: dict[int, float]  # iteration -> validation mIoU in percent
    curves: Path | None

    @property
    def last_miou(self) -> float | None:
        return self.mious[max(self.mious)] if self.mious else None

    @property
    def best_miou(self) -> float | None:
        return self.mious[self.best_iteration] if self.mious else None

    @property
    def best_iteration(self) -> int | None:
        return max(self.mious, key=self.mious.__getitem__, default=None)

    def __str__(self) -> str:
        lines = [f'Training is done. Work dir: {self.work_dir}']
        if self.mious:
            lines.append(
                f'  mIoU        last {self.last_miou:.2f}, best {self.best_miou:.2f} at iteration '
                f'{self.best_iteration}'
            )
        if self.curves:
            lines.append(f'  curves      {self.curves}')
        if self.checkpoint:
            lines.append(f'  checkpoint  {self.checkpoint}')
            lines.append(
                f'  next        python tools/test.py {self.config} {self.checkpoint} '
                f'--show-dir {self.work_dir / "predictions"}'
            )
        return '\n'.join(lines)


def train(
    config: str | Path,
    *,
    work_dir: str | Path | None = None,
    resume: str | Path | bool | None = None,
    amp: bool = False,
    cfg_options: dict[str, Any] | None = None,
    launcher: str = 'none',
    seed: int | None = None,
    deterministic: bool = False,
    check_data: str = 'sample',
) -> TrainResult:
    """Train the model of a config file.

    Args:
        config: config file.
        work_dir: folder of logs and checkpoints; default `work_dirs/<config name>`.
        resume: True to go on from the latest checkpoint in the work dir, or a checkpoint; default
            as the config says (`resume`, and `load_from` for the checkpoint).
        amp: mixed precision; bfloat16 on the CPU, float16 with a gradient scaler on GPUs.
        cfg_options: overrides, dotted key to value.
        launcher: none, pytorch, slurm or mpi.
        seed: seed of the run, instead of the config's.
        deterministic: deterministic cuDNN and torch algorithms (slower).
        check_data: how the data sets are checked first: sample, full or off.

    Raises UserError for whatever can be known to be wrong before the first iteration.
    """
    cfg = load_config(config, cfg_options)
    require_keys(cfg, config, 'model', 'train_dataloader', 'optim_wrapper', 'train_cfg')
    set_launcher(cfg, launcher)
    folder = Path('work_dirs', Path(config).stem)
    folder = set_work_dir(cfg, work_dir or cfg.get('work_dir') or folder)
    if amp:
        _use_amp(cfg, on_cpu())
    randomness = {'seed': None, **(cfg.get('randomness') or {})}
    randomness |= {} if seed is None else {'seed': seed}
    randomness |= {'deterministic': True} if deterministic else {}
    cfg.randomness = randomness
    if randomness.get('deterministic'):
        # cuBLAS reads it when CUDA starts; torch refuses deterministic algorithms without.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    if resume is None and cfg.get('resume'):
        resume = cfg.get('load_from') or True
    cfg.resume = bool(resume)
    if resume:
        _resume(cfg, folder, resume)
    elif run_checkpoints(folder) and is_first_process(launcher):
        raise UserError(
            f'{folder} holds the checkpoints of an earlier run, which a new one would overwrite: '
            'go on with it (--resume), name another folder (--work-dir), or remove it'
        )
    if is_first_process(launcher):
        if not resume:
            fetch_pretrained(cfg)
        loaders = (
            ['train_dataloader', 'val_dataloader'] if cfg.get('val_cfg') else ['train_dataloader']
        )
        print(check_data_sets(cfg, loaders, check_data))

    with explain_settings():
        runner = _ExplainingRunner.from_cfg(cfg)
        runner.train_loop, runner.val_loop  # noqa: B018  built here, to explain their errors
    if resume:
        runner.register_hook(DropStoredConfigHook())
    with _explain_labels(), _explain_channels(cfg.model):
        runner.train()
    return _result(Path(config), runner)


class _ExplainingRunner(Runner):
    """Explains errors in those settings that mmengine builds only when training starts."""

    def build_optim_wrapper(self, *args: Any, **kwargs: Any) -> Any:
        with explain_settings():
            return super().build_optim_wrapper(*args, **kwargs)

    def build_param_scheduler(self, *args: Any, **kwargs: Any) -> Any:
        with explain_settings():
            return super().build_param_scheduler(*args, **kwargs)


@contextmanager
def _explain_labels() -> Iterator[None]:
    """Tell of a label beyond the classes that the check of a sample did not meet."""
    try:
        yield
    except IndexError as error:
        found = re.fullmatch(r'Target (-?\d+) is out of bounds\.?', str(error))
        if not found:
            raise
        raise UserError(
            f'a label file of the training data holds the value {found[1]} (as the data set loads '
            'it), which is no class of the heads: --check-data full names the file'
        ) from error


@contextmanager
def _explain_channels(model: Config) -> Iterator[None]:
    """Tell of heads that do not fit their backbone, which the first forward pass shows."""
    try:
        yield
    except RuntimeError as error:
        found = re.search(r'to have (\d+) channels, but got (\d+) channels instead', str(error))
        if not found:
            raise
        expected, got = map(int, found.groups())
        heads = ', '.join(
            f'{place}.in_channels={head.in_channels}'
            for place, head in heads_of(model)
            if head.get('in_channels')
        )
        raise UserError(
            f'a convolution takes {expected} channels and gets {got}; the config has {heads}, '
            'which must be the channels of the feature maps that in_index chooses from the backbone'
        ) from error


def _use_amp(cfg: Config, cpu: bool) -> None:
    """Change the optimizer wrapper, and keep its optimizer and all other settings."""
    wrapper = cfg.optim_wrapper
    kind = wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper', 'AutocastOptimWrapper'):
        raise UserError(
            f'--amp replaces OptimWrapper, but the config has optim_wrapper.type={kind!r}'
        )
    if cpu:
        wrapper.type = 'AutocastOptimWrapper'
        for scaling in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(scaling, None)
    elif kind == 'OptimWrapper':
        wrapper.type = 'AmpOptimWrapper'


def _resume(cfg: Config, folder: Path, resume: str | Path | bool) -> None:
    checkpoint = latest_checkpoint(folder) if resume is True else resume
    check_checkpoint(checkpoint, cfg, resume=True)
    drop_pretrained(cfg)
    cfg.load_from = str(checkpoint)


def _result(config: Path, runner: Runner) -> TrainResult:
    folder = Path(runner.work_dir)
    _, mious = read_curves(scalar_files(folder))
    saved = runner.message_hub.runtime_info
    checkpoints = [Path(saved[key]) for key in ('best_ckpt', 'last_ckpt') if saved.get(key)]
    curves = curve_path(folder)
    return TrainResult(
        config=config,
        work_dir=folder,
        checkpoint=next((path for path in checkpoints if path.is_file()), None),
        mious=mious,
        curves=curves if curves.is_file() else None,
    )
