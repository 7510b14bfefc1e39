"""CrissCross gives the numbers of the authors' code."""

from mmattn.attention import CrissCross
from tests.golden import Case, check, rename


def test_criss_cross_attention(golden_dir):
    case = Case(golden_dir, 'cca')
    same = [(name, name) for name in ('query_conv', 'key_conv', 'value_conv')]
    state = rename(case.params, ('gamma', 'gamma.scale'), *same)
    check(case, CrissCross(*case.args), state)
