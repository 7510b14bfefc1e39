"""What an override on the command line is read as."""

import pytest

from mmattn.cli.arguments import parse_value
from mmattn.errors import UserError


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('50', 50),
        ('None', None),
        ('[1,2]', [1, 2]),
        ('[(1,2),[a,b]]', [(1, 2), ['a', 'b']]),
        ('iter_{}.pth', 'iter_{}.pth'),
        ("{'type': 'SE'}", {'type': 'SE'}),
        ("[{'cfg': {'type': 'SE', 'reduction': 4}}]", [{'cfg': {'type': 'SE', 'reduction': 4}}]),
        ('{}', {}),
        ('/data/my set/start.pth', '/data/my set/start.pth'),
        ('/data/set (1)/start.pth', '/data/set (1)/start.pth'),
        ("['traffic light', 'b' , c d]", ['traffic light', 'b', 'c d']),
        ('( 1, 2 )', (1, 2)),
        ('a b, c', ['a b', 'c']),
        ('[ /my set (1)/a , ( 1 , b c ) ]', ['/my set (1)/a', (1, 'b c')]),
        (' 0.5 ', 0.5),
        ('"True"', True),
    ],
)
def test_values(text, value):
    assert parse_value('key', text) == value


@pytest.mark.parametrize(
    'text', ['[1,2', '(1,2],3', "{'type': SE}", "[{'a':1,'b':2}", "[{'a': [}]"]
)
def test_what_cannot_be_read_is_told(text):
    with pytest.raises(UserError, match='cannot be read') as error:
        parse_value('key', text)
    assert f'key={text}' in str(error.value)
