"""The shared layers."""

from functools import partial

import pytest
import torch
from torch import nn

from mmattn.attention import RGA, GatherExcite, GSoP, functional
from mmattn.attention.functional import dot_product_attention
from mmattn.attention.layers import ConvNormAct


def naive_attention(query, key, value, scale):
    query, key, value = (x.flatten(2).double() for x in (query, key, value))
    out = torch.empty(*query.shape[:1], value.shape[1], query.shape[2], dtype=torch.float64)
    for b in range(query.shape[0]):
        for i in range(query.shape[2]):
            scores = torch.stack([query[b, :, i] @ key[b, :, j] for j in range(key.shape[2])])
            out[b, :, i] = value[b] @ (scale * scores).softmax(0)
    return out


@pytest.mark.parametrize('chunk', [0, 2**22], ids=['large', 'small'])
@pytest.mark.parametrize('widths', [(3, 3), (3, 8), (8, 3)])
def test_attention_between_two_maps(monkeypatch, chunk, widths):
    monkeypatch.setattr(functional, 'CHUNK', chunk)
    query_width, value_width = widths
    query, key = torch.randn(2, query_width, 4, 5), torch.randn(2, query_width, 7)
    value = torch.randn(2, value_width, 7)
    with torch.no_grad():
        out = dot_product_attention(query, key, value, scale=0.7)
    assert out.shape == (2, value_width, 4, 5)
    expected = naive_attention(query, key, value, 0.7)
    torch.testing.assert_close(out.flatten(2).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('width', [8, 64])
def test_inference_on_a_large_map_does_not_store_the_scores(width):
    query, value = torch.randn(1, width, 96, 96), torch.randn(1, 64, 96, 96)
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profile:
        dot_product_attention(query, query, value, scale=1.0)
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert largest < (96 * 96) ** 2


@pytest.mark.parametrize(
    ('norm_cfg', 'layer', 'name'),
    [
        (dict(type='BN'), nn.BatchNorm2d, 'bn'),
        (dict(type='SyncBN'), nn.SyncBatchNorm, 'bn'),
        (dict(type='GN', num_groups=4), nn.GroupNorm, 'gn'),
        (dict(type='IN', affine=True), nn.InstanceNorm2d, 'in'),
    ],
)
def test_norm_of_the_config(norm_cfg, layer, name):
    module = ConvNormAct(4, 8, norm_cfg=norm_cfg)
    assert isinstance(getattr(module, name), layer)
    assert module.conv.bias is None


def test_frozen_norm():
    module = ConvNormAct(4, 8, norm_cfg=dict(type='BN', requires_grad=False))
    assert not any(p.requires_grad for p in module.bn.parameters())


@pytest.mark.parametrize('act', ['ReLU', 'LeakyReLU', 'ReLU6', 'ELU', 'PReLU', 'GELU', 'SiLU'])
def test_activation_of_the_config(act):
    module = ConvNormAct(4, 8, act_cfg=dict(type=act))
    x = torch.randn(1, 4, 3, 3)
    expected = getattr(nn, act)()(module.conv(x))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize('name', ['Hardswish', 'HSwish'])
def test_hard_swish_has_the_name_of_torch_and_that_of_mmcv(name):
    module = ConvNormAct(4, 8, act_cfg=dict(type=name))
    x = torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(module(x), nn.Hardswish()(module.conv(x)))


@pytest.mark.parametrize(
    'build',
    [
        partial(GSoP, 16),
        partial(GatherExcite, 16, parametrisation='theta', size=(8, 8)),
        partial(RGA, 16, grid=(8, 8)),
    ],
    ids=['GSoP', 'GatherExcite', 'RGA'],
)
def test_without_a_norm_there_is_none(build):
    module = build(norm_cfg=None)
    assert not any('Norm2d' in type(layer).__name__ for layer in module.modules())
    assert module(torch.randn(2, 16, 8, 8)).shape == (2, 16, 8, 8)
