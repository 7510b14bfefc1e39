"""What a browser may send as an image."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmattn.errors import UserError
from mmattn.web.limits import FORMATS, Limits

from .client import data_url, png

LIMITS = Limits(megabytes=0.1, megapixels=0.02)


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack('>I', zlib.crc32(kind + data))
    return struct.pack('>I', len(data)) + kind + data + check


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels whose data, where they are, are a thousandth of them."""
    head = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(10**7), 9)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', data) + chunk(b'IEND', b'')


def test_an_image_arrives_as_it_was(scenes):
    assert (LIMITS.read(data_url(png(scenes[0]))) == scenes[0]).all()


def test_photographs_are_turned_as_viewers_turn_them(scenes):
    picture, file = Image.fromarray(scenes[0]), io.BytesIO()
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(file, 'PNG', exif=exif)
    assert (LIMITS.read(data_url(file.getvalue())) == np.rot90(scenes[0], -1)).all()


@pytest.mark.parametrize('side', [150, 10_000, 30_000, 2**31 - 1])
def test_too_many_pixels_are_refused_before_they_are_decoded(side, monkeypatch):
    def load(*_):
        raise AssertionError('decoded')

    monkeypatch.setattr('PIL.PngImagePlugin.PngImageFile.load', load)
    with pytest.raises(UserError, match='more than the 0.02 million pixels'):
        LIMITS.read(data_url(bomb(side)))


def test_a_file_above_the_bound_is_refused(scenes):
    noise = np.random.default_rng(0).integers(0, 256, (140, 140, 3), np.uint8)
    assert LIMITS.read(data_url(png(noise))).shape == noise.shape
    with pytest.raises(UserError, match='has 0.1 MB, and this page takes 0.1 MB'):
        LIMITS.read(data_url(png(noise) + bytes(60_000)))


@pytest.mark.parametrize(
    'url',
    [
        None,
        7,
        {'path': '/etc/passwd', 'meta': {'_type': 'gradio.FileData'}},
        '/etc/passwd',
        'file:///etc/passwd',
        'http://127.0.0.1:1/image.png',
        'data:image/png,plain',
        'data:image/png;base64',
    ],
)
def test_only_an_image_that_came_with_the_request_is_read(url):
    with pytest.raises(UserError, match='no image came with the request'):
        LIMITS.read(url)


def test_damaged_files_and_other_kinds_are_refused(scenes):
    whole = png(scenes[0])
    postscript = io.BytesIO()
    Image.fromarray(scenes[0]).save(postscript, 'EPS')  # whose decoder runs another program
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    for data in (b'', b'no image', whole[:40], whole[:400], postscript.getvalue(), svg):
        with pytest.raises(UserError, match='damaged, or no image of a kind that is known'):
            Limits().read(data_url(data))
    with pytest.raises(UserError, match='did not arrive whole'):
        LIMITS.read('data:image/png;base64,' + base64.b64encode(whole).decode()[:-3] + '!')


def test_the_kinds_that_are_named_are_known():
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)


def test_sixteen_bits_are_scaled_and_other_ranges_refused():
    files = [io.BytesIO(), io.BytesIO()]
    Image.fromarray(np.full((4, 4), 0x8040, np.uint16)).save(files[0], 'PNG')
    Image.new('F', (4, 4)).save(files[1], 'TIFF')
    assert (LIMITS.read(data_url(files[0].getvalue())) == 0x80).all()
    with pytest.raises(UserError, match="mode 'F' of PIL"):
        LIMITS.read(data_url(files[1].getvalue()))
