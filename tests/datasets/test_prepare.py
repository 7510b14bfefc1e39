"""Converters on small copies of the published layouts, real frames, the command as a process."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmattn.datasets.prepare import prepare_ade20k, prepare_camvid, prepare_cityscapes
from mmattn.errors import UserError
from mmattn.preflight.data_sets import check_datasets, open_datasets

REPO = Path(__file__).resolve().parents[2]
FRAMES = {'train': 3, 'val': 2, 'test': 1}


def write(file, pixels):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, compress_level=1)


def check_dataset(cfg, num_classes):
    check_datasets(list(open_datasets(cfg)), num_classes, 'full')


def snapshot(root):
    return {file.relative_to(root): file.read_bytes() for file in root.rglob('*') if file.is_file()}


def read(file):
    return np.asarray(Image.open(file))


@pytest.fixture
def segnet(tmp_path, scenes_dir):
    """Frames in the SegNet layout: PNG, void 11."""
    labels = sorted((scenes_dir / 'labels/val').iterdir())
    for split, count in FRAMES.items():
        for file in labels[:count]:
            label = read(file)
            image = Image.open(scenes_dir / 'images/val' / f'{file.stem}.jpg')
            write(tmp_path / f'SegNet/CamVid/{split}/{file.name}', image)
            write(
                tmp_path / f'SegNet/CamVid/{split}annot/{file.name}',
                np.where(label == 255, 11, label),
            )
    return tmp_path / 'SegNet'


class TestCamVid:
    def test_segnet_files_become_the_prepared_tree(self, segnet, tmp_path, scenes_dir):
        prepare_camvid(segnet, tmp_path / 'camvid')
        for split, count in FRAMES.items():
            labels = sorted((tmp_path / f'camvid/labels/{split}').iterdir())
            assert len(labels) == count
            for label in labels:
                assert np.array_equal(read(label), read(scenes_dir / 'labels/val' / label.name))
                image = tmp_path / f'camvid/images/{split}' / label.name
                published = segnet / f'CamVid/{split}' / label.name
                assert image.read_bytes() == published.read_bytes()
        prefix = dict(img_path='images/train', seg_map_path='labels/train')
        cfg = dict(type='CamVidDataset', data_root=str(tmp_path / 'camvid'), data_prefix=prefix)
        check_dataset(cfg, 11)

    def test_second_run_completes_the_first(self, segnet, tmp_path):
        prepare_camvid(segnet / 'CamVid', tmp_path / 'camvid')
        first = snapshot(tmp_path / 'camvid')
        next((tmp_path / 'camvid/labels/train').iterdir()).unlink()
        next((tmp_path / 'camvid/images/val').iterdir()).unlink()
        prepare_camvid(segnet / 'CamVid', tmp_path / 'camvid')
        assert snapshot(tmp_path / 'camvid') == first

    def test_prepared_tree_is_a_source_too(self, segnet, tmp_path):
        prepare_camvid(segnet, tmp_path / 'camvid')
        prepare_camvid(tmp_path / 'camvid', tmp_path / 'copy')
        assert snapshot(tmp_path / 'copy') == snapshot(tmp_path / 'camvid')

    def test_void_of_labels_copied_by_hand_is_mended_in_place(self, segnet, tmp_path):
        prepare_camvid(segnet, tmp_path / 'camvid')
        good = snapshot(tmp_path / 'camvid')
        for file in (segnet / 'CamVid/trainannot').iterdir():
            (tmp_path / 'camvid/labels/train' / file.name).write_bytes(file.read_bytes())
        prepare_camvid(tmp_path / 'camvid', tmp_path / 'camvid')
        assert snapshot(tmp_path / 'camvid') == good

    def test_a_label_that_is_cut_short_is_named(self, segnet, tmp_path):
        bad = sorted((segnet / 'CamVid/trainannot').iterdir())[1]
        bad.write_bytes(bad.read_bytes()[:-40])
        with pytest.raises(UserError, match=rf'{bad.name} cannot be read: .*; copy it again'):
            prepare_camvid(segnet, tmp_path / 'camvid')

    def test_failure_leaves_no_half_written_file(self, segnet, tmp_path):
        bad = sorted((segnet / 'CamVid/trainannot').iterdir())[1]
        write(bad, np.full((360, 480), 30))
        with pytest.raises(UserError, match='value 30') as error:
            prepare_camvid(segnet, tmp_path / 'camvid')
        assert str(bad) in str(error.value)
        assert [file.name for file in (tmp_path / 'camvid/labels/train').iterdir()] == [
            sorted((segnet / 'CamVid/trainannot').iterdir())[0].name
        ]

    def test_colour_labels_are_refused(self, segnet, tmp_path):
        write(next((segnet / 'CamVid/valannot').iterdir()), np.zeros((360, 480, 3)))
        with pytest.raises(UserError, match='colour picture'):
            prepare_camvid(segnet, tmp_path / 'camvid')

    def test_frame_without_label_is_named(self, segnet, tmp_path):
        gone = next((segnet / 'CamVid/valannot').iterdir())
        gone.unlink()
        with pytest.raises(UserError, match=gone.stem):
            prepare_camvid(segnet, tmp_path / 'camvid')

    @pytest.mark.parametrize('source', ['nowhere', '.'])
    def test_wrong_source_is_named(self, tmp_path, source):
        with pytest.raises(UserError, match='CamVid'):
            prepare_camvid(tmp_path / source, tmp_path / 'camvid')


def square(label, left, right):
    return {'label': label, 'polygon': [[left, 0], [right, 0], [right, 31], [left, 31]]}


@pytest.fixture
def cityscapes(tmp_path):
    """One 64x32 frame per split: road, a car upon it, and void ("static") at the right."""
    objects = [square('road', 0, 63), square('car', 10, 19), square('static', 50, 63)]
    for split, city in (('train', 'aachen'), ('val', 'ulm')):
        stem = f'{split}/{city}/{city}_000000_000019'
        write(tmp_path / f'download/leftImg8bit/{stem}_leftImg8bit.png', np.zeros((32, 64, 3)))
        file = tmp_path / f'download/gtFine/{stem}_gtFine_polygons.json'
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({'imgHeight': 32, 'imgWidth': 64, 'objects': objects}))
    return tmp_path / 'download'


class TestCityscapes:
    @pytest.fixture(autouse=True)
    def scripts(self):
        pytest.importorskip('cityscapesscripts', reason='pip install cityscapesscripts')

    @pytest.mark.parametrize('in_place', [True, False])
    def test_polygons_become_train_ids(self, cityscapes, tmp_path, in_place):
        root = cityscapes if in_place else tmp_path / 'cityscapes'
        before = snapshot(cityscapes)
        prepare_cityscapes(None if in_place else cityscapes, root)
        label = read(root / 'gtFine/train/aachen/aachen_000000_000019_gtFine_labelTrainIds.png')
        assert label.shape == (32, 64)
        assert [label[16, x] for x in (0, 15, 30, 60)] == [0, 13, 0, 255]
        assert in_place or snapshot(cityscapes) == before
        for split in ('train', 'val'):
            prefix = dict(img_path=f'leftImg8bit/{split}', seg_map_path=f'gtFine/{split}')
            cfg = dict(type='CityscapesDataset', data_root=str(root), data_prefix=prefix)
            check_dataset(cfg, 19)

    def test_second_run_draws_only_what_is_missing(self, cityscapes, capsys):
        prepare_cityscapes(None, cityscapes)
        assert '2 new' in capsys.readouterr().out
        kept, gone = sorted((cityscapes / 'gtFine').rglob('*_labelTrainIds.png'))
        time = kept.stat().st_mtime_ns
        gone.unlink()
        prepare_cityscapes(None, cityscapes)
        assert '1 new' in capsys.readouterr().out
        assert gone.exists() and kept.stat().st_mtime_ns == time

    def test_broken_polygons_are_named_and_leave_no_label(self, cityscapes):
        file = next((cityscapes / 'gtFine/train').rglob('*.json'))
        file.write_text('{"imgHeight": 32, "imgWidth"')
        with pytest.raises(UserError, match=file.name):
            prepare_cityscapes(None, cityscapes)
        assert [found.name for found in file.parent.iterdir()] == [file.name]

    def test_missing_archive_is_named(self, cityscapes):
        (cityscapes / 'gtFine/val').rename(cityscapes / 'elsewhere')
        with pytest.raises(UserError, match='gtFine_trainvaltest.zip'):
            prepare_cityscapes(None, cityscapes)


@pytest.fixture
def ade20k(tmp_path):
    """ADEChallengeData2016 with three and two pairs, as a tree; and zipped beside it."""
    tree = tmp_path / 'download/ADEChallengeData2016'
    for split, count in (('training', 3), ('validation', 2)):
        for index in range(count):
            write(tree / f'images/{split}/ADE_{index}.jpg', np.zeros((8, 8, 3)))
            write(tree / f'annotations/{split}/ADE_{index}.png', np.full((8, 8), 150 * index % 151))
    (tree / 'objectInfo150.txt').write_text('Idx\n')
    with zipfile.ZipFile(tmp_path / 'ADEChallengeData2016.zip', 'w') as archive:
        for file in sorted(tree.rglob('*')):
            archive.write(file, file.relative_to(tree.parent))
        archive.writestr('ADEChallengeData2016/../../outside.txt', 'no')
    return tree


COUNTS = {'training': 3, 'validation': 2}


class TestADE20K:
    def test_zip_is_unpacked_inside_the_root_and_checked(self, ade20k, tmp_path):
        for _ in range(2):
            prepare_ade20k(tmp_path / 'ADEChallengeData2016.zip', tmp_path / 'data/ade', COUNTS)
        assert snapshot(tmp_path / 'data/ade/ADEChallengeData2016') == snapshot(ade20k)
        assert not list(tmp_path.rglob('outside.txt'))
        prefix = dict(img_path='images/training', seg_map_path='annotations/training')
        root = str(tmp_path / 'data/ade/ADEChallengeData2016')
        check_dataset(dict(type='ADE20KDataset', data_root=root, data_prefix=prefix), 150)

    @pytest.mark.parametrize('below', ['.', 'ADEChallengeData2016'])
    def test_extracted_tree_is_linked(self, ade20k, tmp_path, below):
        for _ in range(2):
            prepare_ade20k(ade20k.parent / below, tmp_path / 'ade', COUNTS)
        assert (tmp_path / 'ade/ADEChallengeData2016').resolve() == ade20k.resolve()

    @pytest.mark.parametrize('named', [False, True])
    def test_an_unpacking_that_was_stopped_goes_on(self, ade20k, tmp_path, named):
        (tmp_path / 'ade').mkdir()
        archive = shutil.copy(tmp_path / 'ADEChallengeData2016.zip', tmp_path / 'ade')
        prepare_ade20k(tmp_path / 'ade', tmp_path / 'ade', COUNTS)
        (tmp_path / 'ade/ADEChallengeData2016/images/training/ADE_1.jpg').unlink()
        prepare_ade20k(archive if named else None, tmp_path / 'ade', COUNTS)
        assert snapshot(tmp_path / 'ade/ADEChallengeData2016') == snapshot(ade20k)

    def test_a_whole_tree_beside_its_archive_is_linked_and_left_alone(self, ade20k, tmp_path):
        (ade20k.parent / 'ADEChallengeData2016.zip').write_bytes(b'half of it')
        before = snapshot(ade20k.parent)
        for _ in range(2):
            prepare_ade20k(ade20k.parent, tmp_path / 'ade', COUNTS)
        assert (tmp_path / 'ade/ADEChallengeData2016').is_symlink()
        prepare_ade20k(None, ade20k.parent, COUNTS)
        assert snapshot(ade20k.parent) == before

    def test_tree_in_its_place_is_only_counted(self, ade20k):
        before = snapshot(ade20k.parent)
        prepare_ade20k(None, ade20k.parent, COUNTS)
        assert snapshot(ade20k.parent) == before

    def test_missing_file_is_told(self, ade20k):
        (ade20k / 'annotations/validation/ADE_1.png').unlink()
        with pytest.raises(UserError, match='validation has 2 images and 1 labels, expected 2'):
            prepare_ade20k(None, ade20k.parent, COUNTS)

    def test_half_a_download_is_told(self, ade20k, tmp_path):
        whole = (tmp_path / 'ADEChallengeData2016.zip').read_bytes()
        (tmp_path / 'half.zip').write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match='download it again'):
            prepare_ade20k(tmp_path / 'half.zip', tmp_path / 'ade', COUNTS)

    def test_nothing_found_is_told(self, tmp_path):
        with pytest.raises(UserError, match='neither ADEChallengeData2016.zip nor'):
            prepare_ade20k(tmp_path, tmp_path / 'ade', COUNTS)


@pytest.mark.e2e
class TestCommand:
    def run(self, *arguments, **environment):
        command = [sys.executable, REPO / 'tools/prepare_data.py', *arguments]
        path = os.pathsep.join([str(REPO), os.environ.get('PYTHONPATH', '')])
        env = {**os.environ, 'PYTHONPATH': path, **environment}
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=REPO)

    def test_help_names_the_data_sets_without_loading_mmseg(self):
        done = self.run('--help', PYTHONPROFILEIMPORTTIME='1')
        assert done.returncode == 0
        assert all(name in done.stdout for name in ('toy', 'camvid', 'cityscapes', 'ade20k'))
        assert 'mmseg' not in done.stderr and 'torch' not in done.stderr

    def test_data_goes_where_mmattn_data_points(self, segnet, tmp_path):
        done = self.run('camvid', '--source', segnet, MMATTN_DATA=str(tmp_path / 'data'))
        assert done.returncode == 0, done.stderr
        assert f'3 train, 2 val, 1 test images in {tmp_path / "data/camvid"}' in done.stdout
        assert len(list((tmp_path / 'data/camvid').rglob('*.png'))) == 12

    def test_user_error_is_one_line_and_exit_code_2(self, tmp_path):
        done = self.run('camvid', '--source', tmp_path / 'nowhere', '--root', tmp_path / 'camvid')
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith('error: source of CamVid not found')
        assert 'Traceback' not in done.stderr
