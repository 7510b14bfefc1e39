"""DANet's position and channel attention give the numbers of the authors' code."""

from mmattn.attention import ChannelAttention, PositionAttention
from tests.golden import Case, check, rename


def test_position_attention(golden_dir):
    case = Case(golden_dir, 'pam')
    projections = [(f'{name}_conv', f'{name}_project') for name in ('query', 'key', 'value')]
    state = rename(case.params, *projections, ('gamma', 'gamma.scale'))
    check(case, PositionAttention(*case.args), state)


def test_channel_attention(golden_dir):
    case = Case(golden_dir, 'cam')
    check(case, ChannelAttention(*case.args), rename(case.params, ('gamma', 'gamma.scale')))
