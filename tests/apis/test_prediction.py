"""What can be done with a prediction: shares of area, pictures, exact label files."""

import io

import numpy as np
import pytest
from PIL import Image

from mmattn.apis import Prediction
from mmattn.errors import UserError

PALETTE = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def prediction(count=3, **other) -> Prediction:
    labels = np.array([[0, 2, 2], [2, 2, 0]], np.uint8 if count <= 256 else np.uint16)
    image = np.full((2, 3, 3), 100, np.uint8)
    palette = (PALETTE * (count // 3 + 1))[:count]
    classes = tuple(f'class {index}' for index in range(count))
    return Prediction(labels, classes, palette, image, **other)


def test_shares_of_the_area_are_largest_first():
    assert list(prediction().shares.items()) == [('class 2', 4 / 6), ('class 0', 2 / 6)]
    assert repr(prediction()) == '<Prediction of an image, 3x2: class 2 66.7%, class 0 33.3%>'


def test_the_overlay_goes_from_the_image_to_the_colours():
    assert (np.asarray(prediction().overlay(0)) == 100).all()
    colours = np.array(PALETTE)[prediction().labels]
    assert (np.asarray(prediction().overlay(1)) == colours).all()
    middle = np.asarray(prediction().overlay(0.5)).astype(int)
    assert abs(middle - (colours + 100) / 2).max() <= 1
    with pytest.raises(UserError, match='opacity is 50'):
        prediction().overlay(50)


def test_saved_labels_reopen_exactly_and_are_seen_in_their_colours(tmp_path):
    prediction().save(tmp_path / 'new' / 'labels.png')
    picture = Image.open(tmp_path / 'new' / 'labels.png')
    assert (np.asarray(picture) == prediction().labels).all()
    seen = np.asarray(picture.convert('RGB'))
    assert (seen == np.asarray(prediction().overlay(1))).all()


def test_labels_are_saved_as_the_data_set_counts_them(tmp_path):
    prediction(counts_from_one=True).save(tmp_path / 'labels.png')
    picture = Image.open(tmp_path / 'labels.png')
    assert (np.asarray(picture) == prediction().labels + 1).all()
    seen = np.asarray(picture.convert('RGB'))
    assert (seen == np.asarray(prediction().overlay(1))).all()


def test_more_classes_than_a_byte_counts_take_two(tmp_path):
    prediction(300).save(tmp_path / 'labels.png')
    values = np.asarray(Image.open(tmp_path / 'labels.png'))
    assert values.dtype == np.uint16 and (values == prediction().labels).all()


def test_other_formats_would_change_labels(tmp_path):
    with pytest.raises(UserError, match='name labels.png'):
        prediction().save(tmp_path / 'labels.jpg')


def test_a_notebook_shows_a_picture():
    assert Image.open(io.BytesIO(prediction()._repr_png_())).size[0] > 3
