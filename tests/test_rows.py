"""Rows of finished runs outlive kills, and several processes write to one file."""

import multiprocessing
import os
import resource
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from mmattn.rows import append_row, read_rows

KEY = slice(0, 2)


class Sample(NamedTuple):
    name: str
    seed: int
    score: float
    seconds: float | None
    note: str


def sample(name: str = 'se', seed: int = 0, **values) -> Sample:
    return Sample(name, seed, **dict(score=50.25, seconds=None, note='') | values)


def test_rows_come_back_with_what_is_not_known(tmp_path):
    path = tmp_path / 'new/rows.csv'
    assert read_rows(path, Sample) == []
    rows = [sample(), sample(seed=1, seconds=3.5, note='a, "b"')]
    assert [append_row(path, row, KEY) for row in rows] == rows
    assert read_rows(path, Sample) == rows
    assert path.read_text().splitlines()[:2] == ['name,seed,score,seconds,note', 'se,0,50.25,,']


def test_a_key_stands_once(tmp_path):
    path = tmp_path / 'rows.csv'
    append_row(path, sample(), KEY)
    before = path.read_bytes()
    assert append_row(path, sample(score=99.0), KEY) == sample()
    assert path.read_bytes() == before


def test_half_a_line_is_no_row_and_is_taken_away(tmp_path):
    path = tmp_path / 'rows.csv'
    append_row(path, sample(), KEY)
    whole = path.read_bytes()
    for end in range(len(whole) + 1, len(whole) + 10):
        path.write_bytes((whole + b'se,1,50.25')[:end])
        assert read_rows(path, Sample) == [sample()]
    append_row(path, sample(seed=1), KEY)
    assert read_rows(path, Sample) == [sample(), sample(seed=1)]


def test_a_whole_row_is_one_without_the_end_of_its_line(tmp_path):
    """As editors leave it."""
    path = tmp_path / 'rows.csv'
    rows = [append_row(path, sample(seed=seed), KEY) for seed in range(2)]
    path.write_text(path.read_text().rstrip('\n'))
    assert read_rows(path, Sample) == rows
    assert append_row(path, sample(seed=1, score=99.0), KEY) == rows[1]
    rows.append(append_row(path, sample(seed=2), KEY))
    assert read_rows(path, Sample) == rows and path.read_text().endswith('se,2,50.25,,\n')


def append_on_a_disk_with(left: int, path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = path.stat().st_size + left
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    append_row(path, sample(seed=1), KEY)


def test_a_row_for_which_the_disk_has_no_room_is_told_and_leaves_no_half(tmp_path):
    path = tmp_path / 'rows.csv'
    append_row(path, sample(), KEY)
    before = path.read_bytes()
    context = multiprocessing.get_context('fork')
    writer = context.Process(target=append_on_a_disk_with, args=(5, path))
    writer.start()
    writer.join()
    assert writer.exitcode == 1 and path.read_bytes() == before


@pytest.mark.parametrize(
    'text',
    ['a,b\n1,2\n', 'a note', 'name,seed,score,seconds,note\nse,x,1.0,,\n'],
)
def test_a_file_of_something_else_is_told_and_stays(tmp_path, text):
    path = tmp_path / 'other.csv'
    path.write_text(text)
    with pytest.raises(ValueError, match='other.csv, line .: expected name,seed,score'):
        read_rows(path, Sample)
    with pytest.raises(ValueError, match='expected name,seed,score'):
        append_row(path, sample(), KEY)
    assert path.read_text() == text


def append_all(path: Path, names: list[str], pause: float = 0) -> None:
    for name in names:
        for seed in range(25):
            append_row(path, sample(name, seed), KEY)
            time.sleep(pause)


def test_of_several_processes_none_loses_or_doubles_a_row(tmp_path):
    path = tmp_path / 'rows.csv'
    fork = multiprocessing.get_context('fork')
    writers = [
        fork.Process(target=append_all, args=(path, [name, 'common'])) for name in ('se', 'eca')
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    expected = [(name, seed) for name in ('common', 'eca', 'se') for seed in range(25)]
    assert sorted(row[KEY] for row in read_rows(path, Sample)) == expected
    assert path.read_text().count('name,seed') == 1


def test_a_killed_process_leaves_whole_rows_and_no_lock(tmp_path):
    path = tmp_path / 'rows.csv'
    for _ in range(5):
        writer = multiprocessing.get_context('fork').Process(
            target=append_all, args=(path, ['se', 'eca'], 0.001)
        )
        rows = len(read_rows(path, Sample))
        writer.start()
        while len(read_rows(path, Sample)) < rows + 5 and writer.is_alive():
            time.sleep(0.001)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        found = [row[KEY] for row in read_rows(path, Sample)]
        assert len(set(found)) == len(found) >= rows
    append_all(path, ['se', 'eca'])
    assert len(read_rows(path, Sample)) == 50
