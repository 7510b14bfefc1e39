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


def test_second_step_of_the_released_file_reads_the_global_branch_of_the_first(golden_dir):
    """Equal to ours with the same parameters in both global branches."""
    case = Case(golden_dir, 'iaff_release')
    params = case.params | {
        key.replace('global_att', 'global_att2'): value
        for key, value in case.params.items()
        if key.startswith('global_att.')
    }
    module = IAFF(*case.args, reduction=case.kwargs['r'])
    names = _branches('', 'first.') + _branches('2', 'second.')
    check(case, module, fold_biases(rename(params, *names)))
