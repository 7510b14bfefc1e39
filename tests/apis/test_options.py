"""What a caller asks for goes into the config."""

import pytest
from mmengine.config import Config

from mmattn.apis.options import is_first_process, set_compile, set_launcher, set_resume
from mmattn.errors import UserError


@pytest.mark.parametrize(
    ('launcher', 'variable'),
    [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')],
)
def test_the_first_process_is_that_of_the_launcher(monkeypatch, launcher, variable):
    for number in (0, 1):
        monkeypatch.setenv(variable, str(number))
        assert is_first_process(launcher) is (number == 0)
        assert is_first_process('none')


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_a_launcher_that_has_not_started_the_process_is_explained(monkeypatch, launcher):
    for variable in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match='start the tool by (torchrun|srun|mpirun)'):
        set_launcher(Config(), launcher)


def test_a_launcher_for_gpus_is_refused_on_cpus(monkeypatch):
    monkeypatch.setenv('OMPI_COMM_WORLD_RANK', '0')
    monkeypatch.setattr('mmattn.apis.options.on_cpu', lambda: True)
    with pytest.raises(UserError, match='needs GPUs; on CPUs use torchrun'):
        set_launcher(Config(), 'mpi')


def test_slurm_on_cpus_without_its_variables_is_explained(monkeypatch):
    monkeypatch.setenv('SLURM_PROCID', '0')
    monkeypatch.delenv('SLURM_NTASKS', raising=False)
    monkeypatch.setattr('mmattn.apis.options.on_cpu', lambda: True)
    with pytest.raises(UserError, match='finds no SLURM_NTASKS .*use srun'):
        set_launcher(Config(), 'slurm')


def test_an_empty_name_to_resume_is_refused(tmp_path):
    with pytest.raises(UserError, match='--resume got an empty name'):
        set_resume(Config(dict(launcher='none')), tmp_path, '')


@pytest.mark.parametrize('given', [{}, {'compile': True}])
def test_a_model_that_is_shared_out_is_not_compiled(given):
    cfg = Config(dict(model_wrapper_cfg=dict(type='ShardedDataParallel'), **given))
    with pytest.raises(UserError, match='--compile.*--fsdp.*leave either out'):
        set_compile(cfg, compile=not given)
