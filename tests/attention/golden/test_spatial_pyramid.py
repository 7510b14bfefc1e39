from mmattn.attention import SPA
from tests.attention.golden.layouts import as_convolutions
from tests.golden import Case, check, rename


def test_gate_of_spatial_pyramid_attention(golden_dir):
    case = Case(golden_dir, 'spa')
    module = SPA(case.args[0], channels=len(case.params['fc.0.weight']))
    state = as_convolutions(rename(case.params, ('fc', 'excite')))
    check(case, module, state, module.gate)
