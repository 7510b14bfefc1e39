"""Images as people have them become the arrays that pipelines take."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmattn.apis.images import as_array
from mmattn.errors import UserError

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10


def test_floats_of_an_array_go_to_255_and_those_of_a_tensor_to_1():
    tensor = torch.from_numpy(PIXELS[..., ::-1].copy()).permute(2, 0, 1)
    for image in (PIXELS, PIXELS.astype(np.float64), tensor, tensor / 255):
        np.testing.assert_allclose(as_array(image), PIXELS, rtol=1e-5)


def test_floats_of_the_wrong_range_are_refused_with_the_remedy():
    with pytest.raises(UserError, match='array of float64 is 0.9.*give 255 times the array'):
        as_array(PIXELS / 255)
    with pytest.raises(UserError, match='tensor of torch.float32 is 230.*divide it by 255'):
        as_array(torch.from_numpy(PIXELS).permute(2, 0, 1).float())


def test_black_images_and_units_of_other_sensors_are_taken():
    assert not as_array(np.zeros((2, 4, 3))).any()
    assert as_array(np.full((2, 4, 5), 0.5), channels=5).max() == 0.5


def test_pil_images_have_one_channel_or_three():
    image = Image.fromarray(PIXELS[..., ::-1].copy())
    assert (as_array(image) == PIXELS).all()
    assert (as_array(image, channels=1)[..., 0] == np.asarray(image.convert('L'))).all()
    with pytest.raises(UserError, match=r'of shape \(2, 4, 3\) was given, but .* takes 4 channels'):
        as_array(image, channels=4)


def test_other_integers_are_refused():
    with pytest.raises(UserError, match='int64 was given: its pixels must be uint8 or floats'):
        as_array(PIXELS.astype(np.int64))


def test_alpha_of_a_tensor_is_left_out_and_its_colours_stay():
    rgb = torch.from_numpy(PIXELS[..., ::-1].copy()).permute(2, 0, 1)
    rgba = torch.cat([rgb, torch.full((1, 2, 4), 7, dtype=torch.uint8)])
    for image in (rgba, rgba / 255):
        np.testing.assert_allclose(as_array(image), PIXELS, rtol=1e-5)
    assert as_array(rgba, channels=4)[0, 0].tolist() == [*rgb[:, 0, 0], 7]


@pytest.mark.parametrize('suffix', ['.png', '.pgm'])
def test_sixteen_bits_are_read_as_from_a_file(tmp_path, suffix):
    path = str(tmp_path / f'ramp{suffix}')
    cv2.imwrite(path, np.linspace(0, 65535, 64, dtype=np.uint16).reshape(4, 16))
    with Image.open(path) as image:
        np.testing.assert_array_equal(as_array(image), cv2.imread(path))


@pytest.mark.parametrize('mode', ['I', 'F'])
def test_pixels_whose_range_is_not_known_are_refused(mode):
    with pytest.raises(UserError, match=f"32 bits .mode '{mode}' .* give it with 8 or 16 bits"):
        as_array(Image.new(mode, (4, 2)))
