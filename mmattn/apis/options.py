"""The second step of a run: what the caller asks for goes into the config."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmattn.engine.compiling import check_compile
from mmattn.engine.record import run_checkpoints
from mmattn.engine.seekable import seekable
from mmattn.engine.train_loop import resumable
from mmattn.errors import UserError
from mmattn.files import check_writable
from mmattn.preflight.checkpoint import latest_checkpoint
from mmattn.preflight.config import check_seed
from mmattn.preflight.data_sets import inner_configs
from mmattn.preflight.pretrained import drop_pretrained
from mmattn.processor import cores_of_process, cpu_has_bfloat16

RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
SLURM = {'RANK': 'SLURM_PROCID', 'WORLD_SIZE': 'SLURM_NTASKS', 'LOCAL_RANK': 'SLURM_LOCALID'}
STARTED_BY = {'pytorch': 'torchrun --nproc_per_node N', 'slurm': 'srun', 'mpi': 'mpirun'}

TIMEOUT = 600  # seconds; torch's own is 10 minutes with NCCL and 30 with gloo


def is_first_process(launcher: str) -> bool:
    """True in the one process of several that looks, asks and prints for all.

    The launcher's own number: mmengine does not know it before it has built its runner.
    """
    return launcher == 'none' or os.environ.get(RANKS[launcher], '0') == '0'


def on_cpu() -> bool:
    """True where mmengine will put the model on the CPU."""
    return torch.device(get_device()).type == 'cpu'


def set_launcher(cfg: Config, launcher: str) -> None:
    """Make a config run in the processes that the launcher has started.

    On CPUs they talk by gloo; mmengine's own set-up is for GPUs. A process that waits for others
    longer than `env_cfg.dist_cfg.timeout` (seconds) ends with an error.

    Raises:
        UserError: They were not started by that launcher, or it cannot start them here.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    if RANKS[launcher] not in os.environ:
        raise UserError(
            f'--launcher {launcher} finds no {RANKS[launcher]} in the environment: start the tool '
            f'by {STARTED_BY[launcher]}, or leave --launcher out for one process'
        )
    timeout = ((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout', TIMEOUT)
    cfg.merge_from_dict({'env_cfg.dist_cfg.timeout': timeout})
    if not on_cpu():
        return
    if launcher == 'mpi':
        raise UserError('--launcher mpi needs GPUs; on CPUs use torchrun and pytorch, or slurm')
    if launcher == 'slurm':
        _read_slurm()
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=timeout))
    if (cfg.get('model_wrapper_cfg') or {}).get('type') == 'ShardedDataParallel':
        return
    wrapper = {'find_unused_parameters': cfg.get('find_unused_parameters', False)}
    wrapper |= {'broadcast_buffers': False, **(cfg.get('model_wrapper_cfg') or {})}
    if wrapper.get('type') in (None, 'MMDistributedDataParallel'):
        wrapper['type'] = 'CPUDistributedDataParallel'
    cfg.model_wrapper_cfg = wrapper


def use_fsdp(cfg: Config, launcher: str) -> None:
    """Have the processes share the model out.

    Raises:
        UserError: There is one process, or the config has another wrapper.
    """
    if launcher == 'none':
        raise UserError(
            '--fsdp shares a model out over several processes: start them by '
            f'{STARTED_BY["pytorch"]} ... --launcher pytorch'
        )
    wrapper = cfg.get('model_wrapper_cfg') or {}
    kind = wrapper.get('type', 'MMDistributedDataParallel')
    if kind not in ('MMDistributedDataParallel', 'ShardedDataParallel'):
        raise UserError(
            f'--fsdp replaces MMDistributedDataParallel, but the config has '
            f'model_wrapper_cfg.type={kind!r}'
        )
    cfg.model_wrapper_cfg = {**wrapper, 'type': 'ShardedDataParallel'}


def _read_slurm() -> None:
    """Set what torch reads of the environment from what Slurm says, as mmengine does for GPUs."""
    for name, source in SLURM.items():
        if source not in os.environ:
            raise UserError(f'--launcher slurm finds no {source} in the environment: use srun')
        os.environ[name] = os.environ[source]
    if 'MASTER_ADDR' not in os.environ:
        nodes = ['scontrol', 'show', 'hostnames', os.environ.get('SLURM_JOB_NODELIST', '')]
        try:
            names = subprocess.run(nodes, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise UserError(
                f'--launcher slurm cannot tell the first machine ({error}): set MASTER_ADDR to it'
            ) from error
        if not names.strip():
            raise UserError(
                f'--launcher slurm cannot tell the first machine ({" ".join(nodes)} names none): '
                'set MASTER_ADDR to it'
            )
        os.environ['MASTER_ADDR'] = names.split()[0]
    os.environ.setdefault('MASTER_PORT', '29500')


def set_work_dir(cfg: Config, folder: str | Path) -> Path:
    """Set the work dir, which the run makes; raise UserError where it could not."""
    folder = Path(folder)
    check_writable(folder, 'work dir', 'name another with --work-dir')
    cfg.work_dir = str(folder)
    return folder


def set_resume(cfg: Config, folder: Path, resume: str | Path | bool | None) -> Path | None:
    """Set where training starts, and return the checkpoint that it goes on from, if any.

    Args:
        cfg: Changed: ``resume`` and ``load_from``.
        folder: The work dir.
        resume: True for the latest checkpoint in the work dir, a checkpoint, or None for what the
            config says.

    Raises:
        UserError: Nothing to resume, an empty name, or a new run in a work dir that holds
            checkpoints.
    """
    if resume == '':
        raise UserError(
            '--resume got an empty name: give a checkpoint, or --resume alone for the latest in '
            'the work dir'
        )
    if resume is None and cfg.get('resume'):
        resume = cfg.get('load_from') or True
    cfg.resume = bool(resume)
    if resume:
        checkpoint = latest_checkpoint(folder) if resume is True else Path(resume)
        drop_pretrained(cfg)
        cfg.load_from = str(checkpoint)
        return checkpoint
    if (run_checkpoints(folder) or [*folder.glob('best_*.pth')]) and is_first_process(cfg.launcher):
        raise UserError(
            f'{folder} holds the checkpoints of an earlier run, which a new one would overwrite: '
            'go on with it (--resume), name another folder (--work-dir), or remove it'
        )
    return None


def set_randomness(cfg: Config, seed: int | None, deterministic: bool) -> None:
    """Set the seed, and deterministic algorithms, where the caller asks for them."""
    randomness = {'seed': None, **(cfg.get('randomness') or {})}
    if seed is not None:
        check_seed(seed)
        randomness['seed'] = seed
    randomness |= {'deterministic': True} if deterministic else {}
    cfg.randomness = randomness
    if randomness.get('deterministic'):
        # cuBLAS reads it when CUDA starts; torch refuses deterministic algorithms without.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')


def set_loaders(cfg: Config, given: Iterable[str] = ()) -> list[str]:
    """Fit the loading of data to this machine, where that leaves every number of a run as it is.

    Loaders of training and validation that ask for more workers than there are usable cores get as
    many as there are; of torchrun's processes, which share the cores, each gets its part. The
    random numbers of a sample come from its place in the run, whichever worker loads it, but for
    training loops and loaders that `mmattn.engine.train_loop` leaves as they are: those are left
    alone here, too. Training on CUDA pins the memory of batches unless the config says otherwise.

    Args:
        cfg: Changed: ``num_workers`` and ``pin_memory`` of its loaders.
        given: Keys of the user's own overrides, which are left alone.

    Returns:
        What was changed of the numbers of workers, in lines for people.
    """
    loader, loop = cfg.train_dataloader, resumable(cfg.train_cfg)
    if not isinstance(loader, dict) or not isinstance(loop, dict):
        return []  # the runner says what is wrong
    if torch.device(get_device()).type == 'cuda':
        loader.setdefault('pin_memory', True)
    if loop.get('type') != 'ResumableTrainLoop' or seekable(loader) is None:
        return []
    cores = cores_of_process()
    lines = []
    for name in ('train_dataloader', 'val_dataloader'):
        workers = (cfg.get(name) or {}).get('num_workers')
        its_own = {name, f'{name}.num_workers'} & {*given}
        if isinstance(workers, int) and workers > cores and not its_own:
            cfg[name].num_workers = cores
            lines.append(
                f'{name}.num_workers is {cores} instead of {workers}: each process has {cores} '
                f'usable core{"s" * (cores > 1)} (--cfg-options {name}.num_workers={workers} keeps '
                'it)'
            )
    return lines


def use_amp(cfg: Config, cpu: bool) -> None:
    """Change a config to mixed precision, and to the memory layout that is faster with it.

    The optimizer wrapper keeps its optimizer and other settings. A CPU that has no bfloat16 trains
    in float32, and in the layout that the config says.

    Raises:
        UserError: The config has an optimizer wrapper of another kind.
    """
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
    hooks = cfg.get('custom_hooks') or []
    if (not cpu or cpu_has_bfloat16()) and not any('ChannelsLastHook' in str(h) for h in hooks):
        cfg.custom_hooks = [*hooks, dict(type='ChannelsLastHook')]


def set_compile(cfg: Config, compile: bool) -> None:
    """Have the network compiled, where the caller or the config asks for it.

    Raises:
        UserError: torch.compile does not work here, or the model is shared out.
    """
    if compile:
        cfg.compile = cfg.get('compile') or True
    if not cfg.get('compile'):
        return
    if (cfg.get('model_wrapper_cfg') or {}).get('type') == 'ShardedDataParallel':
        raise UserError(
            'torch.compile (--compile) was not tried with a model that is shared out (--fsdp): '
            'leave either out'
        )
    check_compile(cfg.compile)


def check_picture_folders(cfg: Config, out: str | Path | None, show_dir: str | Path | None) -> None:
    """Raise UserError where predictions or pictures would replace others, or the data itself."""
    if out and show_dir and Path(out).resolve() == Path(show_dir).resolve():
        raise UserError(
            f'--out and --show-dir are both {out}, where pictures would replace predictions of the '
            'same name: name two folders'
        )
    for option, folder in (('--out', out), ('--show-dir', show_dir)):
        if folder:
            check_outside_data(cfg, 'test_dataloader', option, folder)


def check_outside_data(cfg: Config, loader: str, option: str, folder: str | Path) -> None:
    """Raise UserError where a folder that is written to lies in the data of a loader."""
    for data in _data_folders(cfg, loader):
        if Path(folder).resolve().is_relative_to(data):
            raise UserError(
                f'{option} {folder} lies in the {loader.removesuffix("_dataloader")} data '
                f'({data}), whose files it would replace or add to: name another folder'
            )


def _data_folders(cfg: Config, loader: str) -> Iterator[Path]:
    """The folders of the images and labels of a loader."""
    for _, dataset in inner_configs(cfg[loader].dataset, f'{loader}.dataset'):
        for prefix in (dataset.get('data_prefix') or {}).values():
            if isinstance(prefix, str):
                yield Path(dataset.get('data_root') or '', prefix).resolve()


def require_tta(cfg: Config) -> None:
    """Raise UserError unless the config says how to average over scales and flips."""
    if not cfg.get('tta_model') or not cfg.get('tta_pipeline'):
        raise UserError('--tta needs tta_model and tta_pipeline, which the config does not have')


def use_tta(cfg: Config) -> None:
    """Test with the scales and flips of the config's ``tta_pipeline``."""
    require_tta(cfg)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def set_verbose(cfg: Config, verbose: bool) -> None:
    """Have all of mmengine's log printed on the screen, where the caller asks for it."""
    if verbose:
        cfg.verbose = True
