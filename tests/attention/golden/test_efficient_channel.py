from mmattn.attention import ECA
from tests.golden import Case, check


def test_efficient_channel_attention(golden_dir):
    case = Case(golden_dir, 'eca')
    module = ECA(*case.args, kernel_size=case.kwargs['k_size'])
    check(case, module, case.params)
