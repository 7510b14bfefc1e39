"""FullyAttentional gives the numbers of the authors' code, image by image."""

import pytest

from mmattn.attention import FullyAttentional
from tests.attention.golden.layouts import FLA_BLOCK
from tests.golden import Case, check, rename


@pytest.mark.parametrize('name', ['fla', 'fla_batch2'])
def test_fully_attentional(golden_dir, name):
    case = Case(golden_dir, name)
    check(case, FullyAttentional(*case.args), rename(case.params, *FLA_BLOCK))
