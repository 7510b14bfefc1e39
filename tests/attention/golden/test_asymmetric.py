"""AFNB and APNB give the numbers of the authors' code."""

from mmattn.attention import AFNB, APNB
from tests.golden import Case, check, conv_norm, fold_biases, rename


def _state(case: Case, norm: str):
    query_key = [
        pair
        for name in ('key', 'query')
        for pair in conv_norm(
            f'stages.0.f_{name}.0', f'stages.0.f_{name}.1.0', f'stages.0.{name}_project'
        )
    ]
    state = rename(
        case.params,
        *query_key,
        ('stages.0.f_value', 'stages.0.value_project'),
        ('stages.0.W', 'stages.0.out_project'),
        *conv_norm('conv_bn_dropout.0', norm, 'bottleneck'),
    )
    return fold_biases(state)


def test_asymmetric_fusion_non_local_block(golden_dir):
    case = Case(golden_dir, 'afnb')
    low, high, out_channels, channels, value_channels = case.args
    module = AFNB(low, high, channels, out_channels, value_channels)
    check(case, module, _state(case, norm='conv_bn_dropout.1'))


def test_asymmetric_pyramid_non_local_block(golden_dir):
    case = Case(golden_dir, 'apnb')
    in_channels, out_channels, channels, value_channels = case.args
    module = APNB(in_channels, channels, out_channels, value_channels)
    check(case, module, _state(case, norm='conv_bn_dropout.1.0'))
