"""`mmattn analyze` as a process, on what a training and a test leave."""

import json

import pytest

from .conftest import CONFIG


def test_a_run_and_its_predictions_become_a_page(mmattn, run, trained, tmp_path):
    _, work_dir = trained
    predictions, out = tmp_path / 'predictions', tmp_path / 'out'
    checkpoint = work_dir / 'iter_4.pth'
    tested = run('test.py', CONFIG, checkpoint, '--work-dir', tmp_path, '--out', predictions)
    assert tested.returncode == 0, tested.stderr[-2000:]
    result = mmattn('analyze', work_dir, predictions, '--out', out, '--images', 1)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout == f'{out}/index.html\n'
    assert 'Traceback' not in result.stderr and 'Warning' not in result.stderr
    numbers = json.loads((out / 'analysis.json').read_text())
    assert numbers['runs'][work_dir.name]['last_iteration'] == 4
    measured = json.loads((predictions / 'metrics.json').read_text())['metrics']
    overall = numbers['predictions']['predictions']['overall']
    for name in ('mIoU', 'aAcc'):
        assert overall[name] == pytest.approx(measured[name], abs=0.006)  # rounded to 2 digits


def test_a_folder_of_neither_kind_ends_in_one_line(mmattn, tmp_path):
    result = mmattn('analyze', tmp_path, '--out', tmp_path / 'out')
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f'error: {tmp_path} is neither the work dir of a training')
    assert not (tmp_path / 'out').exists()
