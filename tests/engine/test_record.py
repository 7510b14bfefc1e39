"""Checkpoints are whole, and damage is found before it is used."""

import errno
import json
import random
import socket
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.fileio import get_file_backend

from mmattn.engine import checkpoints
from mmattn.engine.checkpoints import check_whole, safe_load
from mmattn.engine.hooks import SafeCheckpointHook
from mmattn.engine.record import record_path, remove_record, verify
from mmattn.errors import UserError
from mmattn.files import remove_unfinished
from tests.engine.test_exact_resume import SAVING, train


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('run')
    train(folder, 4)
    return folder


@pytest.fixture
def checkpoint(run_dir, tmp_path) -> Path:
    """A checkpoint with its record, free to be damaged."""
    for name in ('iter_4.pth', 'iter_4.json'):
        (tmp_path / name).write_bytes((run_dir / name).read_bytes())
    return tmp_path / 'iter_4.pth'


def test_a_record_says_what_the_checkpoint_is_of(run_dir):
    record = json.loads((run_dir / 'iter_4.json').read_text())
    assert record['iteration'] == 4
    assert list(record['metrics']) == ['2', '4']  # the validation after the save is in it too
    assert record['classes'] == ['a', 'b']
    assert record['palette'] == [[0, 0, 0], [1, 1, 1]]
    assert record['versions']['torch'] == torch.__version__
    assert record['size'] == (run_dir / 'iter_4.pth').stat().st_size
    assert len(record['config_sha256']) == len(record['sha256']) == 64
    saved = {file.stem for file in run_dir.glob('*.pth')}
    assert saved == {file.stem for file in run_dir.glob('*.json')}
    for file in run_dir.glob('*.pth'):
        verify(file)


def test_each_of_a_thousand_flipped_bits_is_found(checkpoint):
    good = checkpoint.read_bytes()
    places = random.Random(1)
    missed = 0
    for _ in range(1000):
        bad = bytearray(good)
        bad[places.randrange(len(bad))] ^= 1 << places.randrange(8)
        checkpoint.write_bytes(bad)
        try:
            verify(checkpoint)
            missed += 1
        except UserError as error:
            assert 'is damaged' in str(error)
    assert missed == 0
    checkpoint.write_bytes(good)
    verify(checkpoint)


def test_damage_is_named_wherever_a_checkpoint_is_read(checkpoint):
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(UserError, match='its sha256 is not the one in iter_4.json'):
        safe_load(checkpoint)
    checkpoint.write_bytes(content[:-1])
    with pytest.raises(UserError, match='bytes.*were written'):
        safe_load(checkpoint)


def test_a_damaged_record_is_named_and_a_foreign_one_left_alone(checkpoint):
    record = record_path(checkpoint)
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(UserError, match='iter_4.json, which holds its checksum, cannot be read'):
        safe_load(checkpoint)
    record.write_text('{"note": "my own file"}')
    safe_load(checkpoint)
    remove_record(checkpoint)
    assert record.exists()


def test_without_a_record_the_archive_itself_is_tested(checkpoint):
    record_path(checkpoint).unlink()
    check_whole(checkpoint)
    content = bytearray(checkpoint.read_bytes())
    place = content.index(b'state_dict')
    content[place] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(UserError, match='damaged'):
        check_whole(checkpoint)


def test_a_checkpoint_that_is_written_anew_loses_its_old_record(checkpoint):
    checkpoints.install()
    get_file_backend(str(checkpoint)).put(b'new', str(checkpoint))
    assert not record_path(checkpoint).exists()


def bomb(path: Path, **entry) -> Path:
    """A small file that unpacks to 512 MiB of zeros."""
    torch.save(dict(state_dict={'weight': torch.zeros(8)}), path)
    packed = path.with_name('bomb.pth')
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, 'w') as target:
        for item in source.infolist():
            if item.filename.endswith('data/0'):
                with target.open(zipfile.ZipInfo(item.filename), 'w', force_zip64=True):
                    pass
                target.infolist()[-1].compress_type = zipfile.ZIP_DEFLATED
            else:
                target.writestr(item, source.read(item))
        target.writestr('archive/data/1', bytes(1 << 29), zipfile.ZIP_DEFLATED)
    return packed


def test_an_archive_that_unpacks_to_more_than_itself_is_refused(tmp_path):
    packed = bomb(tmp_path / 'weights.pth')
    assert packed.stat().st_size < 1 << 20
    with pytest.raises(UserError, match='would take 536,'):
        safe_load(packed)
    with packed.open('rb') as file, pytest.raises(UserError, match='would take'):
        safe_load(file)


def test_a_best_checkpoint_goes_after_its_successor_is_there(tmp_path):
    seen = []

    class Watched(SafeCheckpointHook):
        def before_save_checkpoint(self, runner, checkpoint):
            seen.append(sorted(file.name for file in tmp_path.glob('best_*.pth')))
            super().before_save_checkpoint(runner, checkpoint)

    train(tmp_path, 6, hook=Watched(**SAVING))
    first = next(index for index, best in enumerate(seen) if best)
    assert all(seen[first:])
    (best,) = tmp_path.glob('best_*.pth')  # and the one before it is gone, with its record
    assert best.name not in seen[first]
    assert [file.stem for file in tmp_path.glob('best_*.json')] == [best.stem]


def test_files_beyond_the_work_dir_survive_what_a_checkpoint_names(tmp_path):
    """A checkpoint that names a folder as the best before, and paths as those to rotate out."""
    precious = tmp_path / 'precious/data'
    precious.mkdir(parents=True)
    (precious / 'thesis.tex').write_text('years')
    work = tmp_path / 'work'
    train(work, 2)
    state = safe_load(work / 'iter_2.pth')
    info = state['message_hub']['runtime_info']
    info['best_ckpt'] = str(precious.parent)
    info['last_ckpt'] = str(precious / 'thesis.tex')
    info['keep_ckpt_ids'] = ['../../precious/data/thesis.tex', 1, 2, 3]
    info['best_score'] = float('inf')  # any score is better
    (work / 'thesis').mkdir()
    (work / 'thesis/best_score_iter_1.pth').write_text('not in the work dir itself')
    torch.save(state, tmp_path / 'crafted.pth')
    saving = {**SAVING, 'rule': 'less', 'max_keep_ckpts': 1}
    train(work, 6, resume=tmp_path / 'crafted.pth', hook=SafeCheckpointHook(**saving))
    assert (precious / 'thesis.tex').read_text() == 'years'
    assert (work / 'thesis/best_score_iter_1.pth').exists()
    assert [file.name for file in work.glob('iter_*.pth')] == ['iter_6.pth']
    assert len(list(work.glob('best_*.pth'))) == 1


def test_resuming_a_copy_leaves_the_best_of_the_original(tmp_path):
    saving = {**SAVING, 'rule': 'less'}
    original, moved = tmp_path / 'original', tmp_path / 'copy'
    train(original, 2, hook=SafeCheckpointHook(**saving))
    before = {file.name: file.read_bytes() for file in original.glob('*.pth')}
    assert 'best_score_iter_2.pth' in before
    moved.mkdir()
    for file in original.glob('*2.*'):
        (moved / file.name).write_bytes(file.read_bytes())
    state = safe_load(moved / 'iter_2.pth')
    state['message_hub']['runtime_info']['best_score'] = float('inf')
    torch.save(state, moved / 'iter_2.pth')
    remove_record(moved / 'iter_2.pth')
    train(moved, 4, resume=moved / 'iter_2.pth', hook=SafeCheckpointHook(**saving))
    assert {file.name: file.read_bytes() for file in original.glob('*.pth')} == before
    assert [file.name for file in moved.glob('best_*.pth')] == ['best_score_iter_4.pth']


def test_what_killed_runs_left_unfinished_goes_at_the_next_start(tmp_path):
    dead = subprocess.Popen(['true'])
    dead.wait()
    host = socket.gethostname()
    left = tmp_path / f'.{dead.pid}-{host}-iter_9.pth'
    alive = tmp_path / f'.1-{host}-iter_9.pth'
    elsewhere = tmp_path / '.77-another-host-iter_9.pth'
    unrelated = [tmp_path / '.gitignore', tmp_path / '.12', tmp_path / '12-x']
    for file in (left, alive, elsewhere, *unrelated):
        file.write_bytes(b'half')
    remove_unfinished(tmp_path)
    assert not left.exists()
    assert all(file.exists() for file in (alive, elsewhere, *unrelated))
    train(tmp_path, 1)  # a run does it


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB; only root can make one."""
    folder = tmp_path / 'small'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('no right to mount a small disk')
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=True)


def test_a_full_disk_leaves_the_earlier_checkpoints_and_says_how_much_is_missing(small_disk):
    checkpoints.install()
    first, second = small_disk / 'iter_1.pth', small_disk / 'iter_2.pth'
    backend = get_file_backend(str(first))
    backend.put(bytes(40_000), str(first))
    with pytest.raises(OSError, match=r'needs 50,000 bytes, the disk has [\d,]+ left, ') as error:
        backend.put(bytes(50_000), str(second))
    assert error.value.errno == errno.ENOSPC
    assert 'bytes too few' in str(error.value) and str(second) in str(error.value)
    assert [file.name for file in small_disk.iterdir()] == ['iter_1.pth']
    assert first.read_bytes() == bytes(40_000)
