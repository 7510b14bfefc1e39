import pytest

from mmattn.attention import SE
from tests.attention.golden.layouts import as_convolutions
from tests.golden import Case, check, rename


@pytest.mark.parametrize('name', ['se', 'se_bias'])
def test_squeeze_excitation(golden_dir, name):
    case = Case(golden_dir, name)
    module = SE(*case.args, **case.kwargs, bias='fc.0.bias' in case.params)
    check(case, module, as_convolutions(rename(case.params, ('fc', 'excite'))))
