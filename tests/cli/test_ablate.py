"""The arguments of the command for studies, and what it exits with."""

import pytest

from mmattn.cli import main
from mmattn.cli.ablate import _exit_code, _option
from mmattn.errors import UserError
from mmattn.studies.ablation import ablate
from mmattn.studies.runs import DONE, FAILED, RUNNING, STOPPED, TO_DO


@pytest.mark.parametrize(
    ('states', 'code'),
    [
        ({DONE}, 0),
        ({DONE, RUNNING}, 1),
        ({DONE, TO_DO}, 1),
        ({STOPPED, TO_DO}, 75),
        ({FAILED, STOPPED}, 1),
    ],
)
def test_all_is_well_only_where_every_run_is_done(states, code):
    assert _exit_code(states) == code


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('foo', "--slurm-options takes KEY=VALUE pairs, got 'foo'"),
        ('=3', '--slurm-options takes KEY=VALUE pairs'),
        ("a={'b': 1", '--slurm-options a='),
    ],
)
def test_options_of_slurm_are_told_by_their_name(text, words):
    with pytest.raises(UserError) as error:
        _option(text)
    assert words in str(error.value)


def test_options_of_slurm_are_read_as_overrides_are():
    assert _option('timeout_min=600') == ('timeout_min', 600)


def test_options_of_slurm_without_slurm_are_refused(tmp_path):
    with pytest.raises(UserError, match='no effect with --launcher local'):
        ablate('toy_plugins', launcher_options={'timeout_min': 3}, work_dir=tmp_path / 'work')
    assert not (tmp_path / 'work').exists()


def test_jobs_at_a_time_with_slurm_are_refused(tmp_path):
    with pytest.raises(UserError, match='--jobs has no effect with --launcher slurm'):
        ablate('toy_plugins', jobs=1, launcher='slurm', work_dir=tmp_path / 'work')
    assert not (tmp_path / 'work').exists()


def test_where_there_is_no_slurm_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(UserError, match='slurm'):
        ablate('toy_plugins', launcher='slurm', work_dir=tmp_path / 'work')
    assert not (tmp_path / 'work').exists()


def test_without_its_data_nothing_is_started(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('MMATTN_DATA', str(tmp_path / 'nowhere'))
    work = tmp_path / 'work'
    for _ in range(2):  # the second needs no --resume
        with pytest.raises(SystemExit) as exit_code:
            main(['ablate', 'toy_plugins', '--seeds', '0', '--work-dir', str(work)])
        assert exit_code.value.code == 2
        assert 'mmattn prepare' in capsys.readouterr().err
    assert not list(work.rglob('state.json'))
    assert not (work / 'study.json').exists()
