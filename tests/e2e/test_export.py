"""`mmattn export` as a process, and `mmattn test` on what it wrote."""

import json

import pytest

from mmattn.apis import test as measure
from tests.small_model import with_data

from .conftest import REPO


@pytest.fixture(scope='module')
def model(environment, trained_model, tmp_path_factory):
    """Config, with data, and checkpoint."""
    config, checkpoint = trained_model
    toy = REPO / environment['MMATTN_DATA'] / 'toy'
    return with_data(config, toy, tmp_path_factory.mktemp('exported')), checkpoint


def test_an_exported_file_is_verified_and_has_the_mean_iou_of_its_model(
    mmattn, model, environment, tmp_path
):
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    config, checkpoint = model
    file = tmp_path / 'model.onnx'
    image = next((REPO / environment['MMATTN_DATA']).rglob('leftImg8bit/val/**/*.png'))
    result = mmattn('export', config, checkpoint, '--out', file, '--verify', image)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    first, *middle, last = result.stdout.splitlines()
    assert first.startswith(f'verified: {image}: 100.00% of the labels equal, logits differ by')
    assert middle == [
        'input: image, 1x3x48x96, normalised, float32',
        'output: logits, 1x8x48x96, float32',
    ]
    assert last.startswith(f'written: {file} (') and last.endswith(f'mmattn test CONFIG {file}')
    assert result.stderr == ''

    again = mmattn('export', config, checkpoint, '--out', file)
    assert (again.returncode, again.stderr) == (
        2,
        f'error: {file} exists: name another file with --out, or give --overwrite\n',
    )

    out = tmp_path / 'out'
    result = mmattn('test', config, file, '--out', out, '--work-dir', tmp_path / 'log')
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    metrics = json.loads((out / 'metrics.json').read_text())['metrics']
    expected = measure(config, checkpoint, work_dir=tmp_path / 'plain')
    assert metrics == pytest.approx(expected, abs=0.02)
