"""Images as people have them become the arrays that pipelines take."""

import numpy as np
import pytest
import torch

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


def test_other_integers_are_refused():
    with pytest.raises(UserError, match='int64 was given: its pixels must be uint8 or floats'):
        as_array(PIXELS.astype(np.int64))
