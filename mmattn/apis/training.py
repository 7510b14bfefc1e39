"""Train a model from a config."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmattn.apis import options
from mmattn.apis.blame import blame_options
from mmattn.apis.labels import watch_training
from mmattn.engine.hooks.curve import curve_path, scalar_files
from mmattn.engine.lock import sole_run
from mmattn.engine.protection import protect
from mmattn.engine.runner import Runner, separate_run
from mmattn.errors import UserError, add_hint, explain_settings, explain_workers
from mmattn.preflight.config import heads_of, load_config, require_keys
from mmattn.preflight.run import look_at
from mmattn.signals import stop_signals
from mmattn.visualization.curves import read_curves


@dataclass(frozen=True, repr=False)
class TrainResult:
    """Where a training run ended; printed, or shown by a notebook, it is a summary for people."""

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

    def __repr__(self) -> str:
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
                f'  next        mmattn test {self.config} {self.checkpoint} '
                f'--show-dir {self.work_dir / "predictions"}'
            )
        return '\n'.join(lines)


def train(
    config: str | Path,
    *,
    work_dir: str | Path | None = None,
    resume: str | Path | bool | None = None,
    amp: bool = False,
    compile: bool = False,
    cfg_options: dict[str, Any] | None = None,
    launcher: str = 'none',
    fsdp: bool = False,
    seed: int | None = None,
    deterministic: bool = False,
    check_data: str = 'sample',
    verbose: bool = False,
) -> TrainResult:
    """Train the model of a config file.

    Args:
        config: config file.
        work_dir: folder of logs and checkpoints; default `work_dirs/<config name>`.
        resume: True to go on from the latest checkpoint in the work dir, or a checkpoint; default
            as the config says (`resume`, and `load_from` for the checkpoint).
        amp: mixed precision in channels_last; bfloat16 on the CPU, float16 with a gradient scaler
            on GPUs.
        compile: the network by torch.compile, whose first iteration takes minutes.
        cfg_options: overrides, dotted key to value.
        launcher: none, pytorch, slurm or mpi.
        fsdp: each process keeps a part of weights, gradients and optimizer state, not all of them.
        seed: seed of the run, instead of the config's.
        deterministic: deterministic cuDNN and torch algorithms (slower).
        check_data: how the data sets are checked first: sample, full or off.
        verbose: print all of mmengine's log, which else goes to the log file.

    Raises UserError for whatever can be known to be wrong before the first iteration, and
    DivergedError where the loss is not finite any more. SIGTERM and SIGHUP save a checkpoint and
    raise SystemExit(75); SIGINT saves one and raises KeyboardInterrupt.
    """
    with (
        separate_run() as run,
        stop_signals() as stop_request,
        blame_options(config, cfg_options),
    ):
        cfg = load_config(config, cfg_options)
        require_keys(cfg, config, 'model', 'train_dataloader', 'optim_wrapper', 'train_cfg')

        if fsdp:
            options.use_fsdp(cfg, launcher)
        options.set_launcher(cfg, launcher)
        folder = Path('work_dirs', Path(config).stem)
        folder = options.set_work_dir(cfg, work_dir or cfg.get('work_dir') or folder)
        checkpoint = options.set_resume(cfg, folder, resume)
        options.set_randomness(cfg, seed, deterministic)
        options.set_verbose(cfg, verbose)
        loading = options.set_loaders(cfg, cfg_options or {})
        if amp:
            options.use_amp(cfg, options.on_cpu())
        options.set_compile(cfg, compile)

        summary = ''
        if options.is_first_process(launcher):
            loaders = ['train_dataloader', *(['val_dataloader'] if cfg.get('val_cfg') else [])]
            summary = look_at(
                cfg, loaders, data=check_data, checkpoint=checkpoint, resume=cfg.resume
            )
            run.enter_context(sole_run(folder))

        with explain_settings():
            runner = Runner.from_cfg(cfg)
            runner.train_loop, runner.val_loop  # noqa: B018  built here, to explain their errors
        watch_training(runner, cfg.model)
        runner.introduce('\n'.join([*filter(None, [summary]), *loading]))
        protect(runner, stop_request)

        with explain_workers(), _explain_labels(cfg.model):
            runner.train()
        return _result(Path(config), runner)


@contextmanager
def _explain_labels(model: Config) -> Iterator[None]:
    """Tell of a label beyond the classes that the check of a sample did not meet."""
    try:
        yield
    except IndexError as error:
        found = re.fullmatch(r'Target (-?\d+) is out of bounds\.?', str(error))
        if not found:
            raise
        value = int(found[1])
        counts = {place: head.get('num_classes') for place, head in heads_of(model)}
        if all(count is None or 0 <= value < count for count in counts.values()):
            add_hint(
                error,
                f'hint: the loss got the label {value}, which is one of the classes of the heads '
                f'({counts}): do they have a channel for each class (out_channels), as this loss '
                'needs? One channel for two classes goes with loss_decode.use_sigmoid=True',
            )
            raise
        raise UserError(
            f'a label file of the training data holds the value {value} (as the data set loads '
            'it), which is no class of the heads: --check-data full names the file'
        ) from error


def _result(config: Path, runner: Runner) -> TrainResult:
    folder = Path(runner.work_dir)
    _, mious = read_curves(scalar_files(folder))
    saved = runner.message_hub.runtime_info
    # Of several metrics each has a best one; the first that was asked for is the first there.
    keys = [*(key for key in saved if key.startswith('best_ckpt')), 'last_ckpt']
    checkpoints = [Path(saved[key]) for key in keys if saved.get(key)]
    curves = curve_path(folder)
    return TrainResult(
        config=config,
        work_dir=folder,
        checkpoint=next((path for path in checkpoints if path.is_file()), None),
        mious=mious,
        curves=curves if curves.is_file() else None,
    )
