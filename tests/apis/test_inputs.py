"""Files, folders, patterns and cameras become images with names of their own."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmattn.apis.inputs import IMAGES, Source, find_inputs
from mmattn.errors import UserError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Some files, as the current folder has them."""
    monkeypatch.chdir(tmp_path)
    names = ['a.jpg', 'b/c.PNG', 'b/d/e.Tiff', 'b/notes.txt', 'b/clip.mp4', '.hidden.png']
    for name in [*names, 'b/.thumbs/c.png']:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


def names(*inputs, earlier=()) -> dict[str, str]:
    return {str(source.place): str(source.name) for source in find_inputs(inputs, earlier)}


def test_a_folder_is_all_images_below_it_in_their_tree(tree):
    assert names('.') == {'a.jpg': 'a', 'b/c.PNG': 'b/c', 'b/d/e.Tiff': 'b/d/e'}
    assert names('b') == {'b/c.PNG': 'c', 'b/d/e.Tiff': 'd/e'}
    assert names(tree / 'b') == {f'{tree}/b/c.PNG': 'c', f'{tree}/b/d/e.Tiff': 'd/e'}


def test_files_are_taken_whatever_they_are_called(tree):
    assert names('a.jpg', 'b/notes.txt') == {'a.jpg': 'a', 'b/notes.txt': 'notes'}
    assert find_inputs(['b/clip.mp4'])[0].moves
    assert not find_inputs(['a.jpg'])[0].moves


def test_patterns_keep_the_tree_below_what_is_fixed_in_them(tree):
    assert names('b/**/*') == {'b/c.PNG': 'c', 'b/clip.mp4': 'clip', 'b/d/e.Tiff': 'd/e'}
    assert names('*.jpg') == {'a.jpg': 'a'}


def test_a_file_that_is_named_like_a_pattern_is_a_file(tree):
    Path('x[1].png').touch()
    assert names('x[1].png') == {'x[1].png': 'x[1]'}


def test_a_number_is_a_camera_unless_it_is_a_file(tree):
    assert find_inputs(['3']) == [Source(3, Path('camera_3'))]
    Path('3').touch()
    assert find_inputs(['3']) == [Source(Path('3'), Path('3'))]


def test_a_file_that_is_named_twice_is_taken_once(tree):
    assert len(names('a.jpg', tree / 'a.jpg', '*.jpg')) == 1


def test_links_are_followed_but_in_circles(tree):
    Path('b/same.png').symlink_to(Path('b/c.PNG').resolve())
    Path('far/away').mkdir(parents=True)
    Path('far/f.png').touch()
    Path('b/link').symlink_to(Path('far').resolve())
    Path('far/away/back').symlink_to(Path('b').resolve())
    expected = {'b/c.PNG': 'c', 'b/same.png': 'same', 'b/d/e.Tiff': 'd/e', 'b/link/f.png': 'link/f'}
    assert names('b') == expected


def test_images_that_differ_in_their_suffix_keep_it(tree):
    Path('a.png').touch()
    assert names('a.jpg', 'a.png') == {'a.jpg': 'a.jpg', 'a.png': 'a.png'}


def test_earlier_predictions_are_no_input(tree):
    Path('b/labels').mkdir()
    Path('b/labels/c.png').touch()
    for given in ('b', 'b/**/*'):
        assert 'b/labels/c.png' in names(given)
        beside = names(given, earlier=[Path('b/labels')])
        assert 'b/labels/c.png' not in beside and 'b/d/e.Tiff' in beside


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        (['nowhere'], 'input nowhere is neither a file nor a folder'),
        (['*.bmp'], r'no image or video matches \*.bmp'),
        (['b/.thumbs/../d/empty'], 'holds no images.*.jpg'),
        ([], 'there is no input'),
        (['b/c.PNG', 'b/other/c.PNG'], 'would both be called c.PNG'),
    ],
)
def test_mistakes_are_told(tree, inputs, message):
    Path('b/d/empty').mkdir()
    Path('b/other').mkdir()
    Path('b/other/c.PNG').touch()
    with pytest.raises(UserError, match=message):
        find_inputs(inputs)


def test_every_suffix_that_opencv_writes_is_looked_for(tmp_path):
    written = {suffix for suffix in IMAGES if cv2.haveImageWriter(f'x{suffix}')}
    assert {'.jpg', '.png', '.bmp', '.webp', '.tif', '.jp2', '.ppm'} <= written
    for suffix in ('.jpg', '.png', '.bmp', '.webp', '.tif', '.ppm'):
        cv2.imwrite(str(tmp_path / f'x{suffix}'), np.zeros((4, 4, 3), np.uint8))
        assert cv2.haveImageReader(str(tmp_path / f'x{suffix}'))
    assert len(find_inputs([tmp_path])) == 6
