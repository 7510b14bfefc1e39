"""Polarized self-attention gives the numbers of an implementation of the paper's equations."""

import pytest

from mmattn.attention import PolarizedSelfAttention
from tests.golden import Case, check, rename


@pytest.mark.parametrize(
    ('name', 'mode'), [('psa_parallel', 'parallel'), ('psa_sequential', 'sequential')]
)
def test_polarized_self_attention(golden_dir, name, mode):
    case = Case(golden_dir, name)
    # The bias in front of the softmax over positions cancels; ours has none.
    params = {key: value for key, value in case.params.items() if key != 'ch_wq.bias'}
    state = rename(
        params,
        ('ch_wv', 'channel_value'),
        ('ch_wq', 'channel_query'),
        ('ch_wz', 'channel_out'),
        ('ln', 'channel_norm'),
        ('sp_wv', 'spatial_value'),
        ('sp_wq', 'spatial_query'),
    )
    for key in ('channel_norm.weight', 'channel_norm.bias'):
        state[key] = state[key].reshape(-1, 1, 1)
    check(case, PolarizedSelfAttention(*case.args, mode), state)
