"""`mmattn check` on a made data set with what one finds in real ones."""

import shutil

import pytest
from PIL import Image

from mmattn.cli import main
from mmattn.datasets.toy import generate_toy_scenes
from mmattn.files import sha256
from mmattn.preflight import duplicates

CONFIG = 'configs/ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py'
IMAGES, LABELS = 'toy/leftImg8bit', 'toy/gtFine'


@pytest.fixture
def data(tmp_path, monkeypatch):
    generate_toy_scenes(tmp_path / 'toy')
    monkeypatch.setenv('MMATTN_DATA', str(tmp_path))
    return tmp_path


def run(*arguments: str) -> int:
    """The exit code."""
    try:
        main(['check', CONFIG, *arguments])
    except SystemExit as exit:
        return exit.code
    return 0


def test_sound_data_is_summed_up_and_drawn(data, capsys):
    picture = data / 'shares.png'
    assert run('--full', '--picture', str(picture)) == 0
    printed = capsys.readouterr().out
    assert 'train_dataloader.dataset (ToyScenesDataset): 40 images' in printed
    assert 'val_dataloader.dataset (ToyScenesDataset): 16 images' in printed
    with Image.open(picture) as image:
        assert image.width > 400


def test_a_picture_that_cannot_be_written_is_told_before_the_data_are_read(tmp_path, capsys):
    (tmp_path / 'file').touch()
    for picture, message in [
        (tmp_path / 'file/shares.png', 'file is a file; name another with --picture'),
        (tmp_path, 'is a folder: name the PNG to write'),
    ]:
        assert run('--picture', str(picture)) == 2
        assert message in capsys.readouterr().err


def test_images_that_are_trained_and_evaluated_on_are_found(data, capsys):
    (trained, *_), (evaluated, *_) = (
        sorted((data / IMAGES / split).rglob('*.png')) for split in ('train', 'val')
    )
    shutil.copy(trained, evaluated)
    assert run() == 1
    warning = capsys.readouterr().out.splitlines()[-1]
    assert warning.startswith('warning: 1 of the 16 images of val_dataloader are trained on')
    assert evaluated.name in warning and trained.name in warning


def test_a_file_is_read_once_for_all_data_that_it_is_held_against(data, capsys, monkeypatch):
    read = []

    def reading(path):
        read.append(path)
        return sha256(path)

    monkeypatch.setattr(duplicates, 'sha256', reading)
    (trained, *_), (evaluated, *_) = (
        sorted((data / IMAGES / split).rglob('*.png')) for split in ('train', 'val')
    )
    shutil.copy(trained, evaluated)
    assert run('--cfg-options', 'test_dataloader.batch_size=2') == 1  # another loader of the same
    assert capsys.readouterr().out.count('are trained on as well') == 2
    assert sorted(set(read)) == sorted(read[:-1]) and read[-1].samefile(evaluated)


def test_what_a_training_would_refuse_ends_with_2_and_every_file_is_named(data, capsys):
    wrong = list((data / LABELS / 'val').rglob('*.png'))
    wrong += sorted((data / LABELS / 'train').rglob('*.png'))[:2]
    for path in wrong:
        Image.new('L', (256, 128), 77).save(path)
    assert run('--full') == 2
    printed = capsys.readouterr()
    assert printed.err == 'error: files that are wrong: 18\n'
    assert len([line for line in printed.out.splitlines() if 'holds the value 77' in line]) == 18
