import pytest

from mmattn.visualization.files import write_atomically


def test_replaces_a_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'picture.png'
    write_atomically(path, b'old')
    write_atomically(path, b'new')
    assert path.read_bytes() == b'new'
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_no_temporary_file(tmp_path):
    path = tmp_path / 'a folder.png'
    path.mkdir()
    with pytest.raises(OSError):
        write_atomically(path, b'new')
    assert list(tmp_path.iterdir()) == [path]
