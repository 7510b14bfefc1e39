"""`mmattn browse` as a process."""

from .conftest import CONFIG


def test_pictures_are_written_and_the_page_is_named(mmattn, tmp_path):
    result = mmattn('browse', CONFIG, '--count', 2, '--seed', 3, '--out', tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout == f'{tmp_path}/index.html\n'
    assert 'Traceback' not in result.stderr and 'Warning' not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ['001.png', '002.png', 'index.html']


def test_data_that_is_not_there_ends_in_one_line(mmattn, tmp_path):
    result = mmattn('browse', CONFIG, '--out', tmp_path / 'out', MMATTN_DATA=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.startswith('error: data root of ToyScenesDataset not found:')
    assert len(result.stderr.splitlines()) == 1 and not (tmp_path / 'out').exists()
