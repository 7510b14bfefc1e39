"""Data that would train without a word of what is wrong with it."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmattn.datasets  # noqa: F401  registers
from mmattn.errors import UserError
from mmattn.preflight.data_sets import SAMPLE_SIZE, check_datasets, open_datasets

REPO = Path(__file__).resolve().parents[2]
DATA_README = (REPO / 'data' / 'README.md').read_text()


def check(cfg, num_classes=2, mode='sample', training=True):
    return check_datasets(list(open_datasets(cfg)), num_classes, mode, training)


def write_pair(root, name, labels, suffix='.jpg', size=(6, 8)):
    for folder in ('images', 'labels'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    pixels = np.resize(np.array(labels, np.uint8), size)
    Image.fromarray(pixels).save(root / 'labels' / f'{name}.png')
    Image.new('RGB', size[::-1]).save(root / 'images' / f'{name}{suffix}')


def config(root, **changes):
    prefix = dict(img_path='images', seg_map_path='labels')
    return dict(type='BaseSegDataset', data_root=str(root), data_prefix=prefix, **changes)


def named(*classes):
    return dict(metainfo=dict(classes=classes))


@pytest.fixture
def root(tmp_path):
    for index in range(4):
        write_pair(tmp_path, index, [0, 0, 0, 1])
    return tmp_path


def test_the_summary_tells_what_there_is(root):
    write_pair(root, 'large', [0, 1, 0, 255], size=(12, 9))
    (report,) = check(config(root, **named('back', 'thing'))).summaries
    text = str(report)
    assert '5 images with labels, all looked at' in text
    assert str(root / 'images') in text
    assert '8 to 9 wide, 6 to 12 high' in text
    assert 'back 66.0%, thing 25.0%' in text  # 4 * 36 + 54 and 4 * 12 + 27 of 300 pixels
    assert 'void      9.0%' in text
    assert 'absent' not in text and 'not used' not in text


def test_the_summary_of_many_classes_is_short(tmp_path):
    write_pair(tmp_path, 'a', range(100), size=(10, 10))
    text = str(check(config(tmp_path), num_classes=150))
    assert '92 more' in text and '42 more' in text
    assert len(text.splitlines()) < 10 and 'void      0.0%' in text


def test_binary_masks_of_0_and_255_are_refused_with_the_remedy(tmp_path):
    for index in range(3):
        write_pair(tmp_path, index, [0, 0, 0, 255])
    for training in (True, False):
        with pytest.raises(UserError, match='must be stored as 1; data/README.md') as error:
            check(config(tmp_path), training=training)
    assert 'hold class 0 and void (255, 25.0% of the pixels) and nothing else' in str(error.value)


def test_the_remedy_in_the_data_readme_mends_them(tmp_path, monkeypatch):
    root = tmp_path / 'mydata'
    for index in range(3):
        write_pair(root, index, [0, 0, 0, 255])
    (remedy,) = (block for block in _blocks('python') if 'mask' in block)
    monkeypatch.setenv('MMATTN_DATA', str(tmp_path))
    for _ in range(2):  # the second time it changes nothing
        subprocess.run([sys.executable, '-c', remedy], check=True)
        (summary,) = check(config(root)).summaries
        assert summary.pixels.tolist() == [3 * 36, 3 * 12, 0]


@pytest.mark.parametrize(
    ('labels', 'changes', 'message'),
    [
        ([0], {}, 'hold class 0 and nothing else, from which nothing can be learned'),
        ([255], {}, 'hold void (255, 100.0% of the pixels) and nothing else'),
        ([0, 255], dict(reduce_zero_label=True), 'reduce_zero_label makes void of 0'),
    ],
)
def test_one_class_or_void_alone_is_refused(tmp_path, labels, changes, message):
    write_pair(tmp_path, 'a', labels)
    with pytest.raises(UserError) as error:
        check(config(tmp_path, **changes))
    assert message in str(error.value)


def test_evaluation_on_one_class_is_warned_of(tmp_path):
    write_pair(tmp_path, 'a', [0])
    (warning,) = check(config(tmp_path), training=False).warnings
    assert 'hold class 0 and nothing else' in warning


def test_a_class_beyond_the_sample_is_looked_for_before_data_is_refused(tmp_path):
    for index in range(SAMPLE_SIZE + 20):
        write_pair(tmp_path, f'{index:02}', [0, 255])
    with pytest.raises(UserError, match='nothing else'):
        check(config(tmp_path))
    write_pair(tmp_path, '02', [0, 1])  # which the sample does not meet
    report = check(config(tmp_path))
    assert report.summaries[0].pixels[1] == 0 and not report.warnings


def test_sets_of_one_class_each_may_make_up_the_data(tmp_path):
    for index, folder in enumerate(('good', 'faulty')):
        write_pair(tmp_path / folder, 'a', [index])
    sets = [config(tmp_path / folder) for folder in ('good', 'faulty')]
    report = check(dict(type='ConcatDataset', datasets=sets))
    assert [summary.place for summary in report.summaries] == [
        'dataset.datasets.0',
        'dataset.datasets.1',
    ]
    assert not report.warnings


def test_images_of_another_suffix_are_warned_of(root):
    for index in range(4):
        write_pair(root, f'photo{index}', [0, 1], suffix='.JPG')
    report = check(config(root))
    assert '4 images that do not end in .jpg (photo0.JPG)' in str(report.summaries[0])
    assert '4 labels of no used image (photo0.png)' in str(report.summaries[0])
    (warning,) = report.warnings
    assert f'such as {root / "images/photo0.JPG"}: rename them' in warning
    assert 'warning: 4 images that do not end in .jpg' in str(report)


def test_the_data_readme_renames_them(tmp_path, monkeypatch):
    write_pair(tmp_path / 'mydata', 'a', [0, 1], suffix='.JPG')
    images = tmp_path / 'mydata' / 'images'
    (images / 'train').mkdir()
    (images / 'a.JPG').rename(images / 'train' / 'a.JPG')
    (remedy,) = (block for block in _blocks('bash') if 'JPG' in block)
    monkeypatch.setenv('MMATTN_DATA', str(tmp_path))
    subprocess.run(['bash', '-c', remedy], check=True)
    assert [file.name for file in (images / 'train').iterdir()] == ['a.jpg']


def test_images_and_labels_in_one_folder_are_told_apart(root):
    for file in (root / 'labels').iterdir():
        file.rename(root / 'images' / file.name)
    write_pair(root, 'photo', [0, 1], suffix='.JPG')
    shutil.move(root / 'labels/photo.png', root / 'images')
    prefix = dict(img_path='images', seg_map_path='images')
    (summary,) = check(config(root) | dict(data_prefix=prefix)).summaries
    reasons = {reason: len(files) for reason, files in summary.unused.items()}
    assert reasons == {'images that do not end in .jpg': 1, 'labels of no used image': 1}


def test_other_files_are_counted(root):
    (root / 'labels/notes.txt').touch()
    (root / 'images/.DS_Store').touch()
    Image.new('L', (8, 6)).save(root / 'labels/lone.png')
    (summary,) = check(config(root)).summaries
    files = {
        reason: [Path(file).name for file in files] for reason, files in summary.unused.items()
    }
    assert files == {
        'hidden files': ['.DS_Store'],
        'other files': ['notes.txt'],
        'labels of no used image': ['lone.png'],
    }


def test_what_an_ann_file_leaves_out_is_counted_without_a_warning(root):
    (root / 'split.txt').write_text('0\n2\n')
    report = check(config(root, ann_file='split.txt'))
    assert f'2 images that {root / "split.txt"} does not list (1.jpg)' in ' '.join(
        str(report.summaries[0]).split()
    )
    assert not report.warnings


def test_classes_that_never_occur_are_warned_of_where_all_labels_were_looked_at(root):
    names = named('back', 'thing', 'sign')
    report = check(config(root, **names), 3)
    assert 'absent    sign' in str(report)
    assert report.warnings == ('classes without a pixel in dataset: sign',)
    for index in range(4, SAMPLE_SIZE + 4):
        write_pair(root, index, [0, 1])
    report = check(config(root, **names), 3)
    assert '32 of them looked at' in str(report) and 'absent    sign' in str(report)
    assert not report.warnings


def test_labels_that_are_all_void_are_warned_of(root):
    write_pair(root, 2, [255])
    (warning,) = check(config(root)).warnings
    assert '1 of 4 labels' in warning and str(root / 'labels/2.png') in warning


def test_255_that_is_not_void_is_refused_with_the_remedy(tmp_path):
    write_pair(tmp_path, 'a', [0, 255])
    with pytest.raises(UserError, match='holds the value 255.*must be stored as 1'):
        check(config(tmp_path, ignore_index=254))


@pytest.mark.parametrize(
    ('kind', 'suffix'), [(bool, '.png'), (np.uint16, '.png'), (np.float32, '.tif')]
)
def test_labels_of_other_pixel_types_are_counted(tmp_path, kind, suffix):
    write_pair(tmp_path, 'a', [0])
    Image.fromarray(np.eye(6, 8).astype(kind)).save(tmp_path / f'labels/a{suffix}')
    (summary,) = check(config(tmp_path, seg_map_suffix=suffix)).summaries
    assert summary.pixels.tolist() == [42, 6, 0]


def test_missing_labels_of_test_images_name_the_way_to_do_without(root):
    (root / 'labels/2.png').unlink()
    for _ in range(2):
        with pytest.raises(UserError, match=r'seg_map_path=None in test_dataloader\.dataset$'):
            check_datasets(list(open_datasets(config(root), 'test_dataloader.dataset')), 2, 'full')
        shutil.rmtree(root / 'labels', ignore_errors=True)


def test_unlabelled_images_have_a_summary_of_their_own(root):
    shutil.rmtree(root / 'labels')
    (summary,) = check(config(root) | dict(data_prefix=dict(img_path='images'))).summaries
    assert str(summary).splitlines()[0].endswith('4 images without labels, all looked at')
    assert '8x6 (width x height)' in str(summary) and 'classes' not in str(summary)


def _blocks(language):
    return [block.split('```')[0] for block in DATA_README.split(f'```{language}\n')[1:]]
