"""MSCAM, AFF and IAFF give the numbers of the authors' code."""

import pytest

from mmattn.attention import AFF, IAFF, MSCAM
from tests.golden import Case, check, conv_norm, fold_biases, rename


def _branches(suffix, target):
    return [
        pair
        for name, first in ((f'local_att{suffix}', 0), (f'global_att{suffix}', 1))
        for i in range(2)
        for pair in conv_norm(
            f'{name}.{first + 3 * i}',
            f'{name}.{first + 3 * i + 1}',
            f'{target}{name.split("_")[0]}_branch.{i}',
        )
    ]


@pytest.mark.parametrize(
    ('name', 'mechanism', 'options', 'names'),
    [
        ('mscam', MSCAM, {}, _branches('', '')),
        ('aff', AFF, {'gain': 2.0}, _branches('', 'attention.')),
        ('iaff', IAFF, {}, _branches('', 'first.') + _branches('2', 'second.')),
    ],
)
def test_attentional_fusion(golden_dir, name, mechanism, options, names):
    case = Case(golden_dir, name)
    module = mechanism(*case.args, reduction=case.kwargs['r'], **options)
    check(case, module, fold_biases(rename(case.params, *names)))
