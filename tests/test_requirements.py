"""The locks of a stack name the same packages, with and without hashes."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[1] / 'requirements'


def pins(name: str) -> list[str]:
    lines = (REQUIREMENTS / name).read_text().splitlines()
    return sorted(
        re.sub(r'\s+', '', line.rstrip('\\')) for line in lines if re.match(r'\w[\w.-]*==', line)
    )


@pytest.mark.parametrize('stack', ['onedl', 'openmmlab', 'web'])
def test_the_file_of_hashes_has_the_pins_of_the_lock(stack):
    assert pins(f'{stack}.hashes.lock') == pins(f'{stack}.lock')


@pytest.mark.parametrize('stack', ['onedl', 'openmmlab', 'web'])
def test_every_pin_has_a_hash(stack):
    text = (REQUIREMENTS / f'{stack}.hashes.lock').read_text()
    blocks = re.split(r'^(?=\w)', text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pins(f'{stack}.lock'))
    for block in blocks:
        assert re.search(r'--hash=sha256:[0-9a-f]{64}', block), block.splitlines()[0]


def test_the_page_stands_on_the_pins_of_the_stack():
    stack, page = (
        {pin.partition('==')[0] for pin in pins(f'{name}.lock')} for name in ('onedl', 'web')
    )
    assert stack & page == {'pillow'}  # of which gradio takes an older one
