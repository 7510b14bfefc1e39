"""Images as people have them, as the arrays that pipelines of MMSegmentation take."""

from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from mmattn.errors import UserError

KINDS = (
    'give a path, an array (height, width, 3) in the order blue, green, red, as OpenCV reads, '
    'uint8 or floats of 0 to 255, a PIL image, a tensor (3, height, width) in the order red, '
    'green, blue, uint8 or floats of 0 to 1, or a list or an iterator of these'
)
ABOUT_1 = 1.5  # what pixels of 0 to 1 never pass; resizing them may overshoot 1


def as_array(image: Any, channels: int = 3) -> np.ndarray:
    """(H, W, channels) uint8 or float32 of 0 to 255; three channels are blue, green, red.

    Grey images are given three equal channels, and a fourth channel, alpha, is left out.

    Args:
        image: What `KINDS` names, but no path.
        channels: Number of channels that the model takes.

    Raises:
        UserError: It is something else, or its floats have the range of the other kind.
    """
    if isinstance(image, Image.Image):
        rgb = from_pil(image)
        grey = channels == 1
        pixels = np.asarray(Image.fromarray(rgb).convert('L')) if grey else rgb[..., ::-1]
    elif isinstance(image, Tensor):
        pixels = _from_tensor(image, channels)
    elif isinstance(image, np.ndarray):
        pixels = image
        if channels == 3:  # other sensors have other units
            _refuse_floats_of_0_to_1(pixels)
    else:
        raise UserError(f'{type(image).__name__} is no image: {KINDS}')
    if pixels.dtype != np.uint8 and not np.issubdtype(pixels.dtype, np.floating):
        raise UserError(f'an image of {pixels.dtype} was given: its pixels must be uint8 or floats')
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim == 3 and pixels.shape[2] != channels == 3:
        pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        pixels = pixels[..., :3] if pixels.shape[2] == 4 else pixels
    if pixels.ndim != 3 or pixels.shape[2] != channels or not pixels.size:
        raise UserError(
            f'an image of shape {tuple(getattr(image, "shape", pixels.shape))} was given, but the '
            f'model takes {channels} channels: {KINDS}'
        )
    kept = pixels.dtype if pixels.dtype == np.uint8 else np.float32
    return np.ascontiguousarray(pixels, dtype=kept)


def from_pil(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8, upright, in the order red, green, blue; the upper 8 of 16 bits, as OpenCV.

    Raises:
        UserError: Its pixels have 32 bits, whose range nothing tells.
    """
    of_16_bits = image.mode.startswith('I;16') or (
        image.mode == 'I' and image.format in ('PNG', 'PPM')  # which have no more
    )
    image = ImageOps.exif_transpose(image)
    if image.mode in ('I', 'F') and not of_16_bits:
        raise UserError(
            f'the image has pixels of 32 bits (mode {image.mode!r} of PIL), whose range is not '
            'known: give it with 8 or 16 bits'
        )
    if of_16_bits:
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(image.convert('RGB'))


def _refuse_floats_of_0_to_1(pixels: np.ndarray) -> None:
    if np.issubdtype(pixels.dtype, np.floating) and pixels.any() and pixels.max() <= ABOUT_1:
        raise UserError(
            f'the highest pixel of this array of {pixels.dtype} is {pixels.max():g}: floats of an '
            'array go from 0 to 255, as OpenCV has them; give 255 times the array'
        )


def _from_tensor(image: Tensor, channels: int) -> np.ndarray:
    if image.is_floating_point() and image.numel() and image.max() > ABOUT_1:
        raise UserError(
            f'the highest pixel of this tensor of {image.dtype} is {image.max():g}: floats of a '
            'tensor go from 0 to 1; divide it by 255, or give it as uint8'
        )
    pixels = image.detach().cpu().float() if image.is_floating_point() else image.cpu()
    pixels = pixels.numpy()
    if pixels.ndim == 3:
        with_alpha = len(pixels) == 4 and channels == 3
        pixels = pixels[:3][::-1] if len(pixels) == 3 or with_alpha else pixels
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels * 255 if image.is_floating_point() else pixels


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """What people see of a model's input: (H, W, 3) uint8 in the order red, green, blue."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    seen = pixels[..., 2::-1] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(seen.clip(0, 255), dtype=np.uint8)
