"""DoubleAttention in its 'positions' form gives the numbers of a re-implementation in wide use."""

import torch

from mmattn.attention import DoubleAttention
from tests.golden import Case, check, rename


def test_double_attention(golden_dir):
    case = Case(golden_dir, 'a2')
    (channels,) = case.args
    state = rename(
        case.params,
        ('convA', 'feature_project'),
        ('convB', 'gather_project'),
        ('convV', 'distribute_project'),
    )
    # Both cancel in a softmax over positions.
    del state['gather_project.bias'], state['distribute_project.bias']
    # The source has no output projection, and divides by the number of positions.
    positions = case.inputs[0].shape[2:].numel()
    state['out_project.weight'] = torch.eye(channels)[:, :, None, None].double() / positions
    state['out_project.bias'] = torch.zeros(channels)
    module = DoubleAttention(channels, channels, distribution='positions').double()
    check(case, module, state, lambda x: module(x) - x)  # nor a residual
