"""SCSE gives the numbers of the authors' code, CSE those of an article's listing too."""

import torch
from torch.nn import functional as F

from mmattn.attention import CSE, SCSE
from tests.attention.golden.layouts import as_convolutions
from tests.golden import Case, check, rename


def _scse(case: Case, fusion: str) -> tuple[SCSE, dict]:
    state = rename(
        case.params,
        ('cSE.fc1', 'cse.excite.0'),
        ('cSE.fc2', 'cse.excite.2'),
        ('sSE.conv', 'sse.conv'),
    )
    module = SCSE(*case.args, reduction=case.kwargs['reduction_ratio'], fusion=fusion)
    return module, as_convolutions(state)


def test_the_larger_of_both_gates(golden_dir):
    case = Case(golden_dir, 'scse_max')
    check(case, *_scse(case, 'max'))


def test_the_sum_of_both_gates(golden_dir):
    """From the vector of the maximum: a + b = max(a, b) + min(a, b)."""
    case = Case(golden_dir, 'scse_max')
    module, state = _scse(case, 'sum')
    module.load_state_dict(state)
    (x,), (larger,) = case.inputs, case.outputs
    with torch.no_grad():
        smaller = torch.minimum(module.cse(x), module.sse(x))
        torch.testing.assert_close(module(x), larger + smaller, atol=1e-5, rtol=0)


def test_the_channel_gate_beside_a_spatial_gate_of_many_channels(golden_dir):
    """The listing's spatial gate is no one-channel gate as ours, its channel gate is ours."""
    case = Case(golden_dir, 'scse')
    weight, bias = (case.params.pop(f'sSE.0.{name}') for name in ('weight', 'bias'))
    module = CSE(*case.args, reduction=case.kwargs['re'])
    state = rename(case.params, ('cSE.1', 'excite.0'), ('cSE.3', 'excite.2'))

    def both(x: torch.Tensor) -> torch.Tensor:
        return module(x) + x * F.conv2d(x, weight.to(x), bias.to(x)).sigmoid()

    check(case, module, state, both)
