"""Each way in which a data set can be wrong gets one message that names the file and the remedy."""

import re
import shutil

import numpy as np
import pytest
from mmengine.config import ConfigDict
from PIL import Image

import mmattn.datasets  # noqa: F401  registers
from mmattn.errors import UserError
from mmattn.preflight.data_sets import SAMPLE_SIZE, WrongFilesError, check_datasets, open_datasets

SIZE = (24, 16)  # width, height


def write(file, value=0, size=SIZE, mode='L'):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(file)


@pytest.fixture
def root(tmp_path):
    """Eight images with labels of the classes 0 to 10 and void."""
    for index in range(8):
        write(tmp_path / f'images/{index}.png', (9, 9, 9), mode='RGB')
        label = np.full(SIZE[::-1], index, np.uint8)
        label[0, :4] = 10, 255, 0, 9
        (tmp_path / 'labels').mkdir(exist_ok=True)
        Image.fromarray(label).save(tmp_path / f'labels/{index}.png')
    return tmp_path


def config(root, **changes):
    prefix = dict(img_path='images', seg_map_path='labels')
    cfg = dict(type='CamVidDataset', data_root=str(root), data_prefix=prefix, pipeline=['unused'])
    return ConfigDict({**cfg, **changes})


def check_dataset(cfg, num_classes, mode='sample', training=True):
    return check_datasets(list(open_datasets(cfg)), num_classes, mode, training)


def error_of(cfg, num_classes=11, mode='sample'):
    with pytest.raises(UserError) as raised:
        check_dataset(cfg, num_classes, mode)
    message = str(raised.value)
    assert '\n' not in message
    return message


@pytest.mark.parametrize('mode', ['sample', 'full'])
def test_sound_data_set_passes_and_its_config_stays_as_it_was(root, mode):
    cfg = config(root)
    check_dataset(cfg, 11, mode)
    assert cfg == config(root)


@pytest.mark.parametrize(('split', 'mode'), [('train', 'sample'), ('val', 'full')])
def test_real_frames_pass(camvid_dir, split, mode):
    prefix = dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}')
    check_dataset(config(camvid_dir, data_prefix=prefix), 11, mode)


def test_missing_data_root(root):
    message = error_of(config(root / 'nowhere'))
    assert 'data root' in message and str(root / 'nowhere') in message
    assert 'MMATTN_DATA' in message and 'mmattn prepare' in message


@pytest.mark.parametrize(
    ('folder', 'what'), [('images', 'image folder'), ('labels', 'label folder')]
)
def test_missing_folder(root, folder, what):
    shutil.rmtree(root / folder)
    message = error_of(config(root))
    assert what in message and str(root / folder) in message


def test_missing_ann_file(root):
    assert str(root / 'split.txt') in error_of(config(root, ann_file='split.txt'))


def test_empty_data_set_names_folder_and_suffix(root):
    for file in (root / 'images').iterdir():
        file.rename(file.with_suffix('.jpeg'))
    message = error_of(config(root))
    assert 'is empty' in message and str(root / 'images') in message
    assert '*.jpg' in message and '0.jpeg' in message


def test_image_without_label(root):
    (root / 'labels/3.png').unlink()
    (root / 'labels/5.png').unlink()
    message = error_of(config(root))
    assert str(root / 'images/3.png') in message and str(root / 'labels/3.png') in message
    assert '2 of 8' in message


def test_image_that_only_the_ann_file_knows(root):
    (root / 'split.txt').write_text('1\n77\n')
    message = error_of(config(root, ann_file='split.txt'))
    assert str(root / 'images/77.png') in message and 'split.txt' in message


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'is empty: .*split.txt lists no image'),
        ('1\n\n2\n', 'not there: one of its lines is blank'),
        ('\ufeff1\n2\n', r'not there: it begins with a byte order mark \(BOM\)'),
    ],
)
def test_a_list_that_is_wrong_is_named(root, text, words):
    (root / 'split.txt').write_text(text, encoding='utf-8')
    assert re.search(words, error_of(config(root, ann_file='split.txt')))


def test_label_of_another_size(root):
    write(root / 'labels/2.png', 0, (24, 12))
    message = error_of(config(root))
    assert str(root / 'labels/2.png') in message
    assert '24x12' in message and '24x16' in message


def test_colour_label(root):
    write(root / 'labels/2.png', (64, 0, 128), mode='RGB')
    assert '3 channels' in error_of(config(root))


@pytest.mark.parametrize('what', ['images', 'labels'])
@pytest.mark.parametrize('damage', ['cut off', 'not an image', 'empty'])
def test_unreadable_file(root, what, damage):
    file = root / what / '6.png'
    noise = np.random.default_rng(0).integers(0, 9, SIZE[::-1], np.uint8)
    Image.fromarray(noise).save(file)
    content = file.read_bytes()
    file.write_bytes({'cut off': content[:80], 'not an image': b'hello', 'empty': b''}[damage])
    message = error_of(config(root))
    assert 'cannot read' in message and str(file) in message


def test_void_that_is_not_255(root):
    write(root / 'labels/4.png', 11)
    message = error_of(config(root))
    assert str(root / 'labels/4.png') in message and 'value 11' in message
    assert '11 classes' in message and 'must be 255' in message
    assert 'mmattn prepare' in message


def test_too_few_classes_in_the_head(root):
    assert 'value 10' in error_of(config(root), num_classes=10)


def test_another_ignore_index(root):
    write(root / 'labels/4.png', 11)
    check_dataset(config(root / '.', ignore_index=11), 256, 'full')
    assert 'value 255' in error_of(config(root, ignore_index=11))


def test_reduced_zero_label_shifts_the_classes(root):
    """As mmseg loads them: 0 becomes 255, the others one less, 255 stays."""
    cfg = config(root, type='ADE20KDataset', img_suffix='.png')
    check_dataset(cfg, 10, 'full')
    message = error_of(cfg, num_classes=9)
    assert 'value 10' in message and 'class 9' in message and '9 classes' in message


def test_classes_left_out_by_metainfo_are_ignored(root):
    cfg = config(root, metainfo=dict(classes=('sky', 'building', 'tree')))
    check_dataset(cfg, 3, 'full')
    assert 'value 5 (class 2' in error_of(cfg, num_classes=2)


def test_data_set_without_labels_is_checked_for_its_images(root):
    shutil.rmtree(root / 'labels')
    cfg = config(
        root, type='BaseSegDataset', data_prefix=dict(img_path='images'), img_suffix='.png'
    )
    check_dataset(cfg, 11, 'full')
    (root / 'images/1.png').write_bytes(b'')
    assert str(root / 'images/1.png') in error_of(cfg)


def test_sample_looks_at_some_pairs_but_at_the_names_of_all(root):
    for index in range(8, 100):
        shutil.copy(root / 'images/0.png', root / f'images/{index:03d}.png')
        shutil.copy(root / 'labels/0.png', root / f'labels/{index:03d}.png')
    everything = sorted((root / 'labels').iterdir())
    unseen = everything[1]
    write(unseen, 77)
    check_dataset(config(root), 11, 'sample')
    assert 'value 77' in error_of(config(root), mode='full')
    unseen.unlink()
    assert str(unseen) in error_of(config(root), mode='sample')
    assert len(everything) > 2 * SAMPLE_SIZE


def test_wrapped_data_sets_are_all_checked(root):
    sound, broken = config(root), config(root / 'nowhere')
    concat = dict(type='ConcatDataset', datasets=[sound, broken])
    assert 'nowhere' in error_of(dict(type='RepeatDataset', times=2, dataset=concat))
    check_dataset(dict(type='RepeatDataset', times=2, dataset=sound), 11)


def test_unknown_types_and_other_storage_are_left_alone(root):
    check_dataset(dict(type='NoSuchDataset', data_root='/nowhere'), 11)
    check_dataset(config('s3://bucket', backend_args=dict(backend='petrel')), 11)


def test_photographs_that_a_header_turns_upright_keep_the_size_training_sees(root):
    turned = Image.new('RGB', SIZE[::-1])
    exif = turned.getexif()
    exif[0x0112] = 6
    for file in (root / 'images').iterdir():
        file.unlink()
    turned.save(root / 'images/0.jpg', exif=exif)
    check_dataset(config(root), 11)


def test_a_folder_that_contains_itself_is_told(root):
    (root / 'images/again').symlink_to(root)
    assert 'images/again is a symbolic link to a folder that it lies in' in error_of(config(root))


def test_links_to_folders_elsewhere_are_followed(root, tmp_path_factory):
    other = tmp_path_factory.mktemp('other')
    write(other / '9.png', (9, 9, 9), mode='RGB')
    write(root / 'labels/more/9.png', 3)
    (root / 'images/more').symlink_to(other)
    check_dataset(config(root), 11)


def test_a_picture_of_too_many_pixels_is_told(root, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    assert 'exceeds limit' in error_of(config(root))


def test_all_wrong_files_that_are_looked_at_are_kept(root):
    for index in (2, 5):
        write(root / f'labels/{index}.png', 11)
    with pytest.raises(WrongFilesError, match=r'2\.png .*\(1 more files are wrong') as raised:
        check_dataset(config(root), 11)
    assert [str(error).split()[1][-5:] for error in raised.value.errors] == ['2.png', '5.png']
