"""The forms that papers compare theirs with, each against its formula."""

import pytest
import torch
from torch import Tensor

from mmattn.attention import AFF, CBAM, MSCAM, SGE


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)
    return module.eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 8, 5, 6, generator=torch.Generator().manual_seed(1))


def channel_gate(cbam: CBAM, x: Tensor, pools: list) -> Tensor:
    return sum(cbam.channel_mlp(pool(x, (2, 3), keepdim=True)) for pool in pools).sigmoid()


def spatial_gate(cbam: CBAM, x: Tensor, pools: list) -> Tensor:
    return cbam.spatial_conv(torch.cat([pool(x, 1, keepdim=True) for pool in pools], 1)).sigmoid()


@torch.no_grad()
@pytest.mark.parametrize(
    ('pooling', 'pools'),
    [
        ('both', [torch.amax, torch.mean]),
        ('avg', [torch.mean]),
        ('max', [torch.amax]),
    ],
)
def test_orders_and_poolings_of_cbam(x, pooling, pools):
    def expected(order: str, cbam: CBAM) -> Tensor:
        if order == 'parallel':
            return x * channel_gate(cbam, x, pools) * spatial_gate(cbam, x, pools)
        gates = {'channel': channel_gate, 'spatial': spatial_gate}
        first, second = ('channel', 'spatial') if order[0] == 'c' else ('spatial', 'channel')
        y = x * gates[first](cbam, x, pools)
        return y * gates[second](cbam, y, pools) if order.endswith('first') else y

    for order in ('channel_first', 'spatial_first', 'parallel', 'channel', 'spatial'):
        cbam = randomised(CBAM(8, reduction=2, order=order, pooling=pooling))
        torch.testing.assert_close(cbam(x), expected(order, cbam))


@pytest.mark.parametrize(('order', 'missing'), [('channel', 'spatial_'), ('spatial', 'channel_')])
def test_one_gate_of_cbam_has_its_parameters_alone(order, missing):
    full, one = (set(CBAM(32, order=o).state_dict()) for o in ('channel_first', order))
    assert one == {key for key in full if not key.startswith(missing)}


@torch.no_grad()
def test_sge_without_normalisation_gates_by_the_dot_products(x):
    sge = randomised(SGE(8, groups=2, normalise=False))
    for group in range(2):
        part = x[:, 4 * group : 4 * group + 4]
        likeness = (part * part.mean((2, 3), keepdim=True)).sum(1, keepdim=True)
        expected = part * (likeness * sge.weight[group] + sge.bias[group]).sigmoid()
        torch.testing.assert_close(sge(x)[:, 4 * group : 4 * group + 4], expected)


def test_sge_starts_with_the_bias_it_is_given(x):
    torch.testing.assert_close(SGE(8, initial_bias=0.0)(x), x / 2)


@torch.no_grad()
@pytest.mark.parametrize('contexts', [('local', 'local'), ('global', 'global')])
def test_contexts_of_fusion(x, contexts):
    attention = randomised(MSCAM(8, contexts=contexts))
    seen = x if contexts[0] == 'local' else x.mean((2, 3), keepdim=True)
    weights = (attention.local_branch(seen) + attention.global_branch(seen)).sigmoid()
    torch.testing.assert_close(attention(x), x * weights)

    y = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    fusion = AFF(8, contexts=contexts).eval()
    weights = fusion.attention.weights(x + y)
    torch.testing.assert_close(fusion(x, y), weights * x + (1 - weights) * y)
