"""Defaults fit any common number of channels, and are the papers' numbers where those fit."""

import pytest
import torch

from mmattn.attention import (
    BAM,
    CBAM,
    FCA,
    RGA,
    SE,
    SGE,
    SPA,
    CrissCross,
    DoubleAttention,
    GatherExcite,
    InterlacedSparse,
    MultiHeadSelfAttention,
    PositionAttention,
    ShuffleAttention,
    SKConv,
)

THETA_PLUS = dict(extent=2, parametrisation='theta_plus')


@pytest.mark.parametrize(
    ('mechanism', 'width', 'given', 'defaults'),
    [
        (SE, 8, {}, dict(reduction=8)),
        (SE, 64, {}, dict(reduction=16)),
        (CBAM, 8, {}, dict(reduction=8)),
        (CBAM, 64, {}, dict(reduction=16)),
        (BAM, 8, {}, dict(reduction=8)),
        (FCA, 8, dict(frequencies='top8'), dict(reduction=8)),
        (GatherExcite, 8, THETA_PLUS, dict(reduction=8)),
        (SPA, 8, {}, dict(channels=1)),
        (DoubleAttention, 2, {}, dict(channels=1)),
        (PositionAttention, 4, {}, dict(channels=1)),
        (InterlacedSparse, 1, {}, dict(channels=1)),
        (SGE, 32, {}, dict(groups=32)),
        (SGE, 48, {}, dict(groups=16)),
        (SGE, 128, {}, dict(groups=64)),
        (SKConv, 48, {}, dict(groups=16)),
        (SKConv, 8, {}, dict(groups=8, reduction=8)),
        (SKConv, 1024, {}, dict(groups=32, reduction=16)),
        (ShuffleAttention, 64, {}, dict(groups=32)),
        (ShuffleAttention, 18, {}, dict(groups=1)),
        (ShuffleAttention, 384, {}, dict(groups=64)),
        (MultiHeadSelfAttention, 12, {}, dict(num_heads=4)),
        (MultiHeadSelfAttention, 64, {}, dict(num_heads=8)),
        (RGA, 32, dict(mode='channel'), dict(gate_reduction=5)),
        (RGA, 4, dict(mode='spatial'), dict(channel_reduction=4)),
        (RGA, 64, {}, dict(channel_reduction=8, spatial_reduction=8, gate_reduction=8)),
    ],
)
def test_default_is_the_stated_number(mechanism, width, given, defaults):
    module, explicit = mechanism(width, **given), mechanism(width, **given, **defaults)
    explicit.load_state_dict(module.state_dict())
    x = torch.randn(2, width, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(module.eval()(x), explicit.eval()(x))


def test_criss_cross_has_one_query_channel_at_least():
    assert CrissCross(4).query_conv.out_channels == 1
    assert CrissCross(64).query_conv.out_channels == 8
