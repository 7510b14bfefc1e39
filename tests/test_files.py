"""Files are there in full or not at all."""

import os
from pathlib import Path

import pytest

from mmattn.errors import UserError
from mmattn.files import check_writable, replacing, write_atomically


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


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / 'label.png'
    path.write_bytes(b'old')
    with pytest.raises(KeyError), replacing(path) as unfinished:
        unfinished.write_bytes(b'half')
        raise KeyError
    assert unfinished.suffix == '.png'
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_can_be_made_passes_and_is_not_made(tmp_path):
    check_writable(tmp_path / 'new' / 'folder', 'folder', 'name another')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('below', ['', 'run/1'])
def test_a_file_in_place_of_a_folder_is_named(tmp_path, below):
    file = tmp_path / 'file'
    file.touch()
    with pytest.raises(UserError, match=f'cannot be made: {file} is a file; name another'):
        check_writable(file / below, 'folder', 'name another')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_is_not_writable_is_named(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match=f'{tmp_path} is not writable; name another'):
        check_writable(tmp_path / 'new', 'folder', 'name another')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root may become nobody')
def test_a_folder_below_one_that_may_not_be_entered_is_told(tmp_path):
    tmp_path.chmod(0o700)
    try:
        os.seteuid(65534)
        with pytest.raises(UserError, match='cannot be made: .* is not writable; name another'):
            check_writable(tmp_path / 'new', 'folder', 'name another')
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not os.path.isdir('/proc'), reason='a folder of Linux')
def test_a_folder_that_takes_no_files_is_named_to_root_too():
    with pytest.raises(UserError, match='/proc/nowhere cannot be made: /proc is not writable'):
        check_writable(Path('/proc/nowhere'), 'folder', 'name another')
