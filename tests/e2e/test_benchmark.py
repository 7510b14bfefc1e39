"""`mmattn benchmark` as a process."""

import json

import pytest


@pytest.mark.parametrize(
    ('kind', 'options'), [('evaluation', ()), ('attention', ('--models', 'CrissCross'))]
)
def test_benchmark_prints_a_table_and_names_its_files(kind, options, mmattn, tmp_path):
    result = mmattn(
        *('benchmark', kind, '--sizes', '8x8', '--rounds', '1', '--out', tmp_path, *options)
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.strip().splitlines()
    files = sorted(tmp_path.iterdir())
    assert sorted(lines[-len(files) :]) == [str(file) for file in files]
    assert [file.suffix for file in files] == ['.json', '.md', '.png']
    results = json.loads(files[0].read_text())
    assert results['kind'] == kind and results['cases'] and results['threads'] >= 1
    assert 'times as fast' in result.stdout
    assert 'SyncActivityProfiler' not in result.stderr  # the profiler's own lines


def test_wrong_sizes_end_in_one_line(mmattn, tmp_path):
    result = mmattn('benchmark', 'heads', '--sizes', '8x8x8', '--out', tmp_path)
    assert result.returncode == 2
    assert result.stderr.strip() == 'error: --sizes takes heights and widths, as in 64x64'
