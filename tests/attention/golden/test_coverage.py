"""No reference vector lies unused, and each is described."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
VECTORS = TESTS / 'data/golden'
SOURCES = [*(TESTS / 'attention/golden').glob('test_*.py'), TESTS / 'models/test_golden.py']


def used_names() -> Iterator[str]:
    """The vectors that tests load: by a literal name, or by an argument that a decorator gives."""
    functions = (
        node
        for source in SOURCES
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.FunctionDef)
    )
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'Case':
                name = node.args[1]
                given = [name] if isinstance(name, ast.Constant) else function.decorator_list
                constants = (x for part in given for x in ast.walk(part))
                yield from (x.value for x in constants if isinstance(x, ast.Constant))


def keys_of_table(heading: str) -> set[str]:
    """First column of the table below a heading of the README."""
    text = (VECTORS / 'README.md').read_text()
    section = text.split(f'\n## {heading}\n')[1].split('\n## ')[0]
    return set(re.findall(r'^\| `(\w+)` \|', section, re.MULTILINE))


def test_every_vector_is_compared_with_a_module_or_listed_with_the_reason():
    vectors = {path.stem for path in VECTORS.glob('*.npz')}
    used = vectors & set(used_names())
    listed = keys_of_table('Vectors without a module')
    assert vectors - used - listed == set(), 'neither used nor listed'
    assert listed & used == set(), 'used, so it needs no reason'
    assert listed - vectors == set(), 'listed, but not there'


def test_every_vector_is_described():
    vectors = {path.stem for path in VECTORS.glob('*.npz')}
    assert keys_of_table('Cases') == vectors
    assert set(json.loads((VECTORS / 'cases.json').read_text())) == vectors


def test_the_vectors_are_small_enough_for_a_repository():
    assert sum(path.stat().st_size for path in VECTORS.iterdir()) < 5e6
