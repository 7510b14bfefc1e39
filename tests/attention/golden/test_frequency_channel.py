import torch

from mmattn.attention import FCA
from tests.attention.golden.layouts import as_convolutions
from tests.golden import Case, check, rename


def test_frequency_channel_attention(golden_dir):
    case = Case(golden_dir, 'fca')
    in_channels, height, width = case.args
    module = FCA(
        in_channels,
        (height, width),
        reduction=case.kwargs['reduction'],
        frequencies=case.kwargs['freq_sel_method'],
    )
    filters = case.params.pop('dct_layer.weight')
    torch.testing.assert_close(module.filters, filters, atol=1e-6, rtol=0)
    check(case, module, as_convolutions(rename(case.params, ('fc', 'excite'))))
