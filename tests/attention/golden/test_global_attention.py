"""GAM without the channel sigmoid gives the numbers of an article's listing."""

from mmattn.attention import GAM
from tests.attention.golden.layouts import as_convolutions
from tests.golden import Case, check, conv_norm, fold_biases, rename


def test_gam_of_the_listing(golden_dir):
    case = Case(golden_dir, 'gam')
    state = rename(
        case.params,
        ('channel_attention', 'channel_mlp'),
        *conv_norm('spatial_attention.0', 'spatial_attention.1', 'spatial_convs.0'),
        *conv_norm('spatial_attention.3', 'spatial_attention.4', 'spatial_convs.1'),
    )
    in_channels, _ = case.args
    module = GAM(in_channels, reduction=case.kwargs['rate'], channel_sigmoid=False)
    check(case, module, as_convolutions(fold_biases(state)))
