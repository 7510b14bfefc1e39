"""What the page takes from a browser."""

import base64
import binascii
import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mmattn.apis.images import from_pil
from mmattn.errors import UserError

# Decoders that run no other program and need nothing but the bytes.
FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'PPM')


@dataclass(frozen=True)
class Limits:
    """Bounds on one image.

    Attributes:
        megabytes: Of its file, in millions of bytes.
        megapixels: Of the image, in millions.
    """

    megabytes: float = 20
    megapixels: float = 16

    @property
    def body(self) -> int:
        """Bytes that a request may have: the file in base 64, and what else a request says."""
        return int(self.megabytes * 1e6) * 4 // 3 + 100_000

    def read(self, url: object) -> np.ndarray:
        """The image of a data URL, (H, W, 3) uint8, RGB, turned as viewers turn it.

        The bounds are looked at before anything is decoded.

        Raises:
            UserError: It is none, is beyond the bounds or is damaged.
        """
        head, comma, text = url.partition(',') if isinstance(url, str) else ('', '', '')
        if not (comma and head.startswith('data:') and head.endswith(';base64')):
            raise UserError('no image came with the request: choose one first')
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise UserError('the image did not arrive whole: choose it again') from error
        if len(data) > self.megabytes * 1e6:
            raise UserError(
                f'the file has {len(data) / 1e6:.1f} MB, and this page takes '
                f'{self.megabytes:g} MB: save it smaller'
            )
        return self._decode(data)

    def _decode(self, data: bytes) -> np.ndarray:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # on sizes: ours is the stricter bound
                with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                    width, height = picture.size
                    if width * height <= self.megapixels * 1e6:
                        return from_pil(picture)
        except UserError:
            raise
        except Image.DecompressionBombError:
            pass
        except Exception as error:  # decoders fail in many ways
            raise UserError(
                'the file cannot be read: it is damaged, or no image of a kind that is known '
                f'({", ".join(FORMATS)})'
            ) from error
        raise UserError(
            f'the image has more than the {self.megapixels:g} million pixels that this page '
            'takes: scale it down'
        )
