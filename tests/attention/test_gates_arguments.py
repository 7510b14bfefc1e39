"""Wrong arguments of the gating modules, and what is special about them."""

import pytest
import torch

from mmattn.attention import (
    AFF,
    BAM,
    CBAM,
    GAM,
    MSCAM,
    SCSE,
    SGE,
    CoordinateAttention,
    PolarizedSelfAttention,
    ResidualAttention,
    ShuffleAttention,
)


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda: CBAM(8, reduction=16), 'reduction must be between 1 and in_channels=8, got 16'),
        (lambda: CBAM(64, kernel_size=4), 'kernel_size must be odd and positive, got 4'),
        (lambda: CBAM(64, order='channels'), "order must be one of .*'channel_first'.*'channels'"),
        (lambda: CBAM(64, pooling='mean'), "pooling must be one of .*'avg', 'max'.* got 'mean'"),
        (lambda: MSCAM(64, contexts='local'), "two of .*'local', 'global'.* got 'local'"),
        (lambda: AFF(64, contexts=('local', 'globe')), "two of .*got .*'globe'"),
        (lambda: BAM(64, fusion='max'), "fusion must be one of .*'sum', 'product'.* got 'max'"),
        (lambda: BAM(64, dilation=0), 'dilation must be at least 1, got 0'),
        (lambda: BAM(64, spatial_layers=0), 'spatial_layers must be at least 1, got 0'),
        (lambda: SCSE(64, fusion='mean'), "fusion must be one of .*'sum', 'max'.* got 'mean'"),
        (lambda: SCSE(64, reduction=65), 'reduction must be between 1 and in_channels=64, got 65'),
        (lambda: SGE(64, groups=48), 'groups must divide in_channels=64, got 48; 64 does'),
        (lambda: ShuffleAttention(64, groups=64), '2 . groups .* in_channels=64, .*=64; 32 works'),
        (lambda: ShuffleAttention(65), 'in_channels must be even, got 65'),
        (lambda: CoordinateAttention(64, reduction=0), 'reduction must be at least 1, got 0'),
        (lambda: GAM(64, reduction=0), 'reduction must be between 1 and in_channels=64, got 0'),
        (lambda: PolarizedSelfAttention(1), 'in_channels must be at least 2, got 1'),
        (lambda: PolarizedSelfAttention(64, mode='both'), "'parallel', 'sequential'.* got 'both'"),
        (lambda: ResidualAttention(3), 'in_channels must be at least 4, got 3'),
        (lambda: ResidualAttention(64, depth=0), 'depth must be at least 1, got 0'),
    ],
)
def test_wrong_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize('module', [SGE, ShuffleAttention])
def test_every_gate_starts_alike(module):
    """Scales at 0 and biases at 1: nothing but a common factor, and the shuffle's order."""
    x = torch.randn(2, 128, 5, 6)
    expected = x * torch.sigmoid(torch.tensor(1.0))
    if module is ShuffleAttention:
        expected = expected.unflatten(1, (2, 64)).transpose(1, 2).flatten(1, 2)
    with torch.no_grad():
        torch.testing.assert_close(module(128)(x), expected)


def test_spatial_gate_of_cbam_starts_at_one_half():
    x = torch.randn(2, 64, 5, 6)
    module = CBAM(64).eval()
    with torch.no_grad():
        expected = module(x)
        module.spatial_conv.conv.weight.normal_()
        torch.testing.assert_close(module(x), expected)


def test_group_dot_products_beyond_half_precision_do_not_overflow():
    x = 300 + torch.randn(1, 64, 4, 5)
    assert (x * x).min() > torch.finfo(torch.float16).max
    module = SGE(64, groups=4)
    torch.nn.init.ones_(module.weight)
    x = x.half()
    with torch.no_grad():
        expected, actual = module(x.float()), module.half()(x)
    torch.testing.assert_close(actual.float(), expected, atol=0, rtol=2e-3)
