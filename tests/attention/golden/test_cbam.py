"""CBAM gives the numbers of the authors' code."""

from mmattn.attention import CBAM
from tests.attention.golden.layouts import as_convolutions
from tests.golden import Case, check, rename


def test_cbam(golden_dir):
    case = Case(golden_dir, 'cbam')
    state = rename(
        case.params,
        ('ChannelGate.mlp.1', 'channel_mlp.0'),
        ('ChannelGate.mlp.3', 'channel_mlp.2'),
        ('SpatialGate.spatial', 'spatial_conv'),
    )
    check(case, CBAM(*case.args, reduction=case.kwargs['reduction_ratio']), as_convolutions(state))
