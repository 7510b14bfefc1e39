import re

import pytest
import torch

from mmattn.attention import GatherExcite
from tests.golden import Case, check, conv_norm, rename


def _local_state(case: Case) -> dict[str, torch.Tensor]:
    steps = sum(key.endswith('running_mean') for key in case.params)
    gather = [
        pair
        for i in range(steps)
        for pair in conv_norm(f'gather.conv{i + 1}', f'gather.norm{i + 1}', f'gather.{i}')
    ]
    return rename(case.params, *gather, ('mlp.fc1', 'excite.0'), ('mlp.fc2', 'excite.2'))


@pytest.mark.parametrize('name', ['ge_theta_minus', 'ge_theta_minus_local'])
def test_parameter_free_gather_excite(golden_dir, name):
    case = Case(golden_dir, name)
    check(case, GatherExcite(*case.args, extent=case.kwargs['extent'] or None), {})


def test_gather_by_strided_convolutions(golden_dir):
    case = Case(golden_dir, 'ge_theta_local')
    module = GatherExcite(*case.args, extent=case.kwargs['extent'], parametrisation='theta')
    check(case, module, _local_state(case))


def test_gather_by_strided_convolutions_and_excite_by_a_bottleneck(golden_dir):
    case = Case(golden_dir, 'ge_theta_plus_local')
    channels, extent, reduction = map(
        int, re.match(r'GatherExcite\((\d+),.*extent=(\d+), rd_ratio=1/(\d+)', case.text).groups()
    )
    module = GatherExcite(channels, extent, 'theta_plus', reduction)
    check(case, module, _local_state(case))


def test_gather_by_one_global_convolution(golden_dir):
    """The source pads the convolution and gates each pixel by another part of the map; where the
    kernel covers the map, its number is the one gate that the paper has for all pixels."""
    case = Case(golden_dir, 'ge_theta_global')
    size = case.kwargs['feat_size']
    module = GatherExcite(*case.args, parametrisation='theta', size=tuple(size))
    state = rename(case.params, ('gather.conv1', 'gather.1'), ('gather.norm1', 'gather.2'))
    module.load_state_dict(state)
    row, column = (n // 2 for n in size)
    with torch.no_grad():
        actual = module.double().eval()(case.inputs[0].double())[:, :, row, column]
    expected = case.outputs[0][:, :, row, column].double()
    torch.testing.assert_close(actual, expected, atol=2e-6, rtol=2e-6)
