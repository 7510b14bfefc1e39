"""docs/web_page.md: its commands and its numbers."""

import argparse
import re
import shlex

from PIL import Image

from mmattn.cli import demo
from mmattn.web import limits, models, page

from .conftest import REPO

GUIDE = (REPO / 'docs/web_page.md').read_text()


def arguments(command: str = '') -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args(shlex.split(command))


def test_the_commands_of_the_guide_are_understood():
    commands = re.findall(r'^\$ mmattn demo ?(.*)$', GUIDE, re.M)
    assert len(commands) == 3
    for command in commands:
        args = arguments(command)
        for config in filter(None, (args.config, *(args.compare or ())[:1])):
            assert (REPO / config).is_file()


def test_the_numbers_of_the_guide_are_those_of_the_page():
    args = arguments()
    assert f'{args.host}, port {args.port}' in GUIDE
    assert (args.max_megabytes, args.max_megapixels) == (20, 16)
    assert limits.Limits() == limits.Limits(args.max_megabytes, args.max_megapixels)
    for words in ('`--max-megabytes` | 20', '`--max-megapixels` | 16'):
        assert words in GUIDE
    assert f'most {models.MAX_SIDE} pixels' in GUIDE.replace('\n', ' ')
    assert f'{models.MAX_PANELS} pictures' in GUIDE
    assert f'beyond {page.MAX_WAITING} that wait' in GUIDE
    kinds = {name.lower() for name in re.findall(r'[A-Z]+|WebP', GUIDE)} | {'webp'}
    assert {name.lower() for name in limits.FORMATS} <= kinds


def test_the_picture_of_the_guide_is_a_page():
    with Image.open(REPO / 'docs/images/web_page.png') as picture:
        assert picture.width > 800 and len(picture.convert('RGB').getcolors(2**24)) > 100
