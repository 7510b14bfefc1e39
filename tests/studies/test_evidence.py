"""A finished run leaves one row in the file of evidence, whatever happens to the study."""

import json
import re
from pathlib import Path

import pytest

from mmattn.apis import ablate
from mmattn.errors import UserError
from mmattn.studies import ablation, runs
from mmattn.studies.evidence import EvidenceRow, append_run, current, read_evidence
from mmattn.studies.plan import load_study
from mmattn.studies.runs import DONE, FAILED, RUNNING, execute

from .test_ablation import start, wait_for
from .test_report import leave_results, six_runs  # noqa: F401  a fixture

PARAMETERS = {'none': 100, 'se': 120}


def test_a_row_says_what_was_measured_and_by_what(six_runs, tmp_path):  # noqa: F811
    file, _, (run, *_) = six_runs
    run.note(commit='abc1234', machine='a processor, 2 cores')
    path = tmp_path / 'evidence.csv'
    append_run(path, load_study(file), run, PARAMETERS)
    (row,) = read_evidence(path)
    assert row[:3] == ('tiny', 'none', 0)
    assert (row.config, row.options, row.parameters, row.seconds) == ('', '', 100, 65.0)
    assert row.miou == pytest.approx(run.metrics()['metrics']['mIoU'], abs=0.01)
    assert json.loads(row.class_iou) == run.metrics()['class_iou']
    assert (row.commit, row.machine) == ('abc1234', 'a processor, 2 cores')
    assert row.versions == 'torch 9.9'


def test_what_ended_without_its_row_gets_it_and_none_gets_two(six_runs, tmp_path):  # noqa: F811
    """As where the study was killed between the end of a run and its row."""
    file, folder, made = six_runs
    path = tmp_path / 'evidence.csv'
    for run in made[:2]:
        append_run(path, load_study(file), run, PARAMETERS)
    before = path.read_bytes()
    path.write_bytes(before + b'tiny,none,1,')
    for _ in range(2):
        ablate(file, work_dir=folder, resume=True, append=path)
    rows = read_evidence(path)
    assert path.read_bytes().startswith(before)
    assert [row[1:3] for row in rows] == [(run.variant, run.seed) for run in made]
    assert rows[-1].parameters > rows[-2].parameters > 1000
    assert 'row' not in (folder / 'log.txt').read_text()


def test_where_the_data_lies_is_no_part_of_a_config(six_runs, tmp_path, monkeypatch):  # noqa: F811
    file, folder, (run, *_) = six_runs
    path = tmp_path / 'evidence.csv'
    here = load_study(file)
    append_run(path, here, run, PARAMETERS)
    monkeypatch.setenv('MMATTN_DATA', str(tmp_path / 'elsewhere'))
    elsewhere = load_study(file)
    assert elsewhere.variants['none'].digest != here.variants['none'].digest
    _, known = append_run(path, elsewhere, run, PARAMETERS)
    assert read_evidence(path) == [known]
    file.write_text(file.read_text().replace('base_channels=8', 'base_channels=16'))
    append_run(path, load_study(file), run, PARAMETERS)
    old, new = read_evidence(path)
    assert current([old, new]) == {'none': {0: new}}
    assert current([old._replace(seed=1), new]) == {'none': {0: new}}


def test_another_score_of_a_run_that_has_its_row_is_told(six_runs, tmp_path):  # noqa: F811
    file, folder, made = six_runs
    path = tmp_path / 'evidence.csv'
    ablate(file, work_dir=folder, resume=True, append=path)
    (made[0].folder / 'evaluation_images.csv').unlink()
    made[0].note(metrics={'mIoU': 12.5})
    ablate(file, work_dir=folder, resume=True, append=path)
    assert re.search(
        r'none seed 0: .*evidence\.csv has a row of this variant, seed and config, with mIoU \d',
        (folder / 'log.txt').read_text(),
    )
    assert len(read_evidence(path)) == 6


def test_a_file_of_something_else_is_refused_before_the_first_run(write_study, tmp_path):
    path = tmp_path / 'other.csv'
    path.write_text('a,b\n1,2\n')
    with pytest.raises(UserError, match=r'other.csv, line 1: expected study.* --append'):
        ablate(write_study(), work_dir=tmp_path / 'work', append=path)
    assert not (tmp_path / 'work').exists()


def test_a_folder_is_refused_before_the_first_run(write_study, tmp_path):
    with pytest.raises(UserError, match='name another file with --append'):
        ablate(write_study(), work_dir=tmp_path / 'work', append=tmp_path)


def test_a_row_that_cannot_be_written_ends_no_study(six_runs, tmp_path, monkeypatch):  # noqa: F811
    file, folder, made = six_runs

    def full(*rest):
        raise OSError('No space left on device')

    monkeypatch.setattr(ablation, 'append_run', full)
    result = ablate(file, work_dir=folder, resume=True, append=tmp_path / 'evidence.csv')
    assert set(result.states.values()) == {DONE}
    log = (folder / 'log.txt').read_text()
    assert log.count('--resume --append adds it: No space left on device') == len(made)


def test_a_run_without_a_score_has_no_row(six_runs, tmp_path):  # noqa: F811
    file, folder, made = six_runs
    made[0].note(metrics={}, class_iou={})
    made[1].note(state=FAILED)
    made[2].note(metrics={'mIoU': float('nan')})
    for run in made[:3]:
        assert append_run(tmp_path / 'evidence.csv', load_study(file), run, PARAMETERS) is None
    assert not (tmp_path / 'evidence.csv').exists()


def test_a_run_notes_by_what_it_was_made(six_runs, monkeypatch):  # noqa: F811
    """Both, where another commit goes on with it."""
    run = six_runs[2][0]
    monkeypatch.setattr(runs, '_step', lambda *rest: (1, 'RuntimeError: boom'))
    for name in ('abc1234', 'abc1234', 'def5678'):
        monkeypatch.setattr(runs, 'commit', lambda name=name: name)
        execute(run)
    assert run.state()['commit'] == 'abc1234 + def5678'
    assert 'cores' in run.state()['machine'] or '+' not in run.state()['machine']


@pytest.mark.e2e
@pytest.mark.slow
def test_rows_of_a_killed_study_are_there_as_runs_end(write_study, tmp_path):
    study, folder, path = write_study(), tmp_path / 'work', tmp_path / 'evidence.csv'
    process = start(study, folder, append=path)
    wait_for(lambda: runs.read_state(folder / 'se/seed0')['state'] == RUNNING, process, folder)
    rows = wait_for(lambda: read_evidence(path), process, folder)
    process.kill()
    process.join()
    assert [row.variant for row in rows] == ['none']
    whole: bytes = Path(path).read_bytes()
    result = ablate(study, work_dir=folder, resume=True, append=path)
    assert set(result.states.values()) == {DONE}
    assert path.read_bytes().startswith(whole)
    none, se = read_evidence(path)
    assert (none.variant, se.variant) == ('none', 'se')
    for row in (none, se):
        assert row.miou > 0 and row.seconds > 0 and 'torch' in row.versions and row.machine


def row(variant: str, seed: int, digest: str, miou: float = 50.0) -> EvidenceRow:
    values = dict.fromkeys(EvidenceRow._fields, '')
    options = '--amp' if digest.endswith('--amp') else ''
    return EvidenceRow(
        **values | dict(variant=variant, seed=seed, digest=digest, options=options, miou=miou)
    )


def test_rows_of_two_studies_that_wrote_by_turns_all_count():
    old, new = ([row('none', seed, digest) for seed in range(3)] for digest in ('old', 'new'))
    mixed = [each for pair in zip(new, old, strict=True) for each in pair]
    assert current([*mixed, new[0]._replace(seed=3)])['none'].keys() == {0, 1, 2, 3}
    assert current(mixed)['none'] == dict(enumerate(old))


def test_rows_of_other_options_are_not_compared():
    plain = [row('none', 0, 'a'), row('se', 0, 'b')]
    half = [row('none', 0, 'a--amp')]
    of_plain = {'none': {0: plain[0]}, 'se': {0: plain[1]}}
    assert current(plain + half) == current(half + plain) == of_plain
    half.append(row('se', 0, 'b--amp'))
    assert current(plain + half) == {'none': {0: half[0]}, 'se': {0: half[1]}}


def test_trainings_of_their_own_are_compared_whatever_their_options():
    rows = [row(name, 0, '')._replace(options=name) for name in ('none', 'eca')]
    assert current(rows).keys() == {'none', 'eca'}


def test_rows_without_a_score_are_not_compared():
    rows = [row('none', 0, 'a'), row('none', 1, 'a', float('nan'))]
    assert current(rows) == {'none': {0: rows[0]}}
