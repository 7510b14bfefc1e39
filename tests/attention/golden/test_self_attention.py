"""MultiHeadSelfAttention gives the numbers of torch's own, on the flattened map."""

from mmattn.attention import MultiHeadSelfAttention
from tests.golden import Case, check, rename


def test_multi_head_self_attention(golden_dir):
    case = Case(golden_dir, 'mhsa')
    state = rename(
        case.params,
        ('in_proj_weight', 'in_project.weight'),
        ('in_proj_bias', 'in_project.bias'),
        ('out_proj', 'out_project'),
    )
    check(case, MultiHeadSelfAttention(*case.args), state)
