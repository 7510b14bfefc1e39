"""Shuffle attention gives the numbers of the authors' code."""

from mmattn.attention import ShuffleAttention
from tests.golden import Case, check, rename


def test_shuffle_attention(golden_dir):
    case = Case(golden_dir, 'shuffle')
    state = rename(
        case.params,
        ('cweight', 'channel_weight'),
        ('cbias', 'channel_bias'),
        ('gn.weight', 'norm_weight'),
        ('gn.bias', 'norm_bias'),
        ('sweight', 'spatial_weight'),
        ('sbias', 'spatial_bias'),
    )
    state = {key: value.reshape(-1, 1, 1) for key, value in state.items()}
    check(case, ShuffleAttention(*case.args, **case.kwargs), state)
