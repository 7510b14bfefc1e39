"""Coordinate attention gives the numbers of the authors' code."""

from mmattn.attention import CoordinateAttention
from tests.golden import Case, check, conv_norm, fold_biases, rename


def test_coordinate_attention(golden_dir):
    case = Case(golden_dir, 'coord')
    state = rename(
        case.params,
        *conv_norm('conv1', 'bn1', 'shared_conv'),
        ('conv_h', 'conv_h.conv'),
        ('conv_w', 'conv_w.conv'),
    )
    in_channels, _ = case.args
    check(case, CoordinateAttention(in_channels, **case.kwargs), fold_biases(state))
