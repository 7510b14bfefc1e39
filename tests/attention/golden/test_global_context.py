"""GlobalContext gives the numbers of mmcv's block in all forms."""

import re

import pytest

from mmattn.attention import GlobalContext
from tests.golden import Case, check


@pytest.mark.parametrize(
    'name', ['gc_att_add', 'gc_att_mul', 'gc_avg_add', 'gc_avg_mul', 'gc_att_add_mul']
)
def test_global_context(golden_dir, name):
    case = Case(golden_dir, name)
    channels, divisor = map(
        int, re.match(r'ContextBlock\((\d+), ratio=1/(\d+)', case.text).groups()
    )
    _, pooling, *fusions = name.split('_')
    fusion_types = [f'channel_{fusion}' for fusion in fusions]
    check(case, GlobalContext(channels, 1 / divisor, pooling, fusion_types), case.params)
