"""Settings that both commands share."""

import os
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmattn.errors import UserError
from mmattn.files import check_writable

RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
STARTED_BY = {'pytorch': 'torchrun --nproc_per_node N', 'slurm': 'srun', 'mpi': 'mpirun'}


def is_first_process(launcher: str) -> bool:
    """True in the one process of several that looks, asks and prints for all.

    The launcher's own number: mmengine does not know it before it has built its runner.
    """
    return launcher == 'none' or os.environ.get(RANKS[launcher], '0') == '0'


def set_launcher(cfg: Config, launcher: str) -> None:
    """Make a config run in the processes that the launcher has started.

    On CPUs they talk by gloo; mmengine's own set-up is for GPUs.

    Raises:
        UserError: They were not started by that launcher, or the launcher needs GPUs.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    if RANKS[launcher] not in os.environ:
        raise UserError(
            f'--launcher {launcher} finds no {RANKS[launcher]} in the environment: start the tool '
            f'by {STARTED_BY[launcher]}, or leave --launcher out for one process'
        )
    if not on_cpu():
        return
    if launcher != 'pytorch':
        raise UserError(f'--launcher {launcher} needs GPUs; on CPUs use torchrun and pytorch')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    wrapper = {'find_unused_parameters': cfg.get('find_unused_parameters', False)}
    wrapper |= {'broadcast_buffers': False, **(cfg.get('model_wrapper_cfg') or {})}
    if wrapper.get('type') in (None, 'MMDistributedDataParallel'):
        wrapper['type'] = 'CPUDistributedDataParallel'
    cfg.model_wrapper_cfg = wrapper


def set_work_dir(cfg: Config, folder: str | Path) -> Path:
    """Set the work dir, which the run makes; raise UserError where it could not."""
    folder = Path(folder)
    check_writable(folder, 'work dir', 'name another with --work-dir')
    cfg.work_dir = str(folder)
    return folder


def on_cpu() -> bool:
    """True where mmengine will put the model on the CPU."""
    return torch.device(get_device()).type == 'cpu'
