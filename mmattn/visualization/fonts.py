"""Fonts for class names of any alphabet."""

from functools import cache

from matplotlib import get_data_path
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, or the first installed font that has the characters of ``text`` it lacks."""
    files = _font_files()
    return _load(next((f for f in files if _characters(f) >= set(map(ord, text))), files[0]), size)


@cache
def _font_files() -> list[str]:
    fonts = (font for font in fontManager.ttflist if not font.name.startswith('Last Resort'))
    return [f'{get_data_path()}/fonts/ttf/DejaVuSans.ttf', *sorted(font.fname for font in fonts)]


@cache
def _load(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@cache
def _characters(path: str) -> frozenset[int]:
    """What a font can write at any size."""
    face = FT2Font(path)
    return frozenset(face.get_charmap() if face.scalable else ())
