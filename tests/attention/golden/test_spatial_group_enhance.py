"""SGE gives the numbers of the authors' code."""

from mmattn.attention import SGE
from tests.golden import Case, check


def test_sge(golden_dir):
    case = Case(golden_dir, 'sge')
    channels = case.inputs[0].shape[1]
    state = {key: value.squeeze(0) for key, value in case.params.items()}
    check(case, SGE(channels, **case.kwargs), state)
