"""InterlacedSparse gives the numbers of the authors' module, padding included."""

from mmattn.attention import InterlacedSparse
from tests.golden import Case, check, conv_norm, rename


def _attention(source, target):
    return [
        pair
        for name in ('query', 'key')
        for i in range(2)
        for pair in conv_norm(
            f'{source}.f_{name}.{2 * i}',
            f'{source}.f_{name}.{2 * i + 1}.0',
            f'{target}.{name}_project.{i}',
        )
    ] + [
        (f'{source}.f_value', f'{target}.value_project'),
        *conv_norm(f'{source}.W.0', f'{source}.W.1.0', f'{target}.out_project'),
    ]


def test_interlaced_sparse_attention(golden_dir):
    case = Case(golden_dir, 'isa')
    (down_factor,) = case.kwargs['down_factors']
    module = InterlacedSparse(*case.args, down_factor=down_factor)
    state = rename(
        case.params,
        *_attention('stages.0.long_range_sa', 'long_range'),
        *_attention('stages.0.short_range_sa', 'short_range'),
        *conv_norm('conv_bn.0', 'conv_bn.1.0', 'bottleneck'),
    )
    check(case, module, state)
