"""NonLocal gives the numbers of mmcv's block in all modes, sub-sampled or not."""

import pytest

from mmattn.attention import NonLocal
from tests.golden import Case, check, rename


@pytest.mark.parametrize(
    'name',
    [
        'nonlocal_embedded_gaussian',
        'nonlocal_embedded_gaussian_sub',
        'nonlocal_gaussian',
        'nonlocal_gaussian_sub',
        'nonlocal_dot_product',
        'nonlocal_dot_product_sub',
        'nonlocal_concatenation',
        'nonlocal_concatenation_sub',
    ],
)
def test_non_local_block(golden_dir, name):
    case = Case(golden_dir, name)
    mode, sub_sample = case.kwargs['mode'], case.kwargs['sub_sample']
    module = NonLocal(
        *case.args, **case.kwargs, use_scale=mode == 'embedded_gaussian', norm_cfg=None
    )
    conv = '0.conv' if sub_sample else 'conv'
    state = rename(
        case.params,
        ('theta.conv', 'query_project.0'),
        (f'phi.{conv}', 'key_project.0'),
        (f'g.{conv}', 'value_project.0'),
        ('conv_out', 'out_project'),
        ('concat_project', 'concat_project'),
    )
    if mode == 'embedded_gaussian':
        del state['key_project.0.bias']  # cancels in the softmax
    if mode == 'concatenation':
        halves = state.pop('concat_project.conv.weight').chunk(2, dim=1)
        state['query_project.1.weight'] = halves[0]
        state[f'key_project.{len(module.key_project) - 1}.weight'] = halves[1]
    check(case, module, state)
