"""The fusions that AFF is compared with, alone and in the places of a network."""

import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmattn.models import AddFusion, ConcatFusion, InceptionConv, SelectiveFusion

FUSIONS = [
    dict(type='AddFusion'),
    dict(type='ConcatFusion'),
    dict(type='SelectiveFusion'),
    dict(type='AFF', contexts=('global', 'global')),
    dict(type='AFF', contexts=('local', 'local')),
    dict(type='AFF'),
    dict(type='IAFF'),
]


def maps() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 8, 5, 6, generator=generator) for _ in range(2)]


@torch.no_grad()
def test_formulas():
    torch.manual_seed(0)
    x, y = maps()
    assert torch.equal(AddFusion(8)(x, y), x + y)

    concat = ConcatFusion(8, norm_cfg=None)
    weight = concat.project.conv.weight[:, :, 0, 0]
    expected = torch.einsum('oc,bchw->bohw', weight[:, :8], x)
    expected = expected + torch.einsum('oc,bchw->bohw', weight[:, 8:], y)
    torch.testing.assert_close(concat(x, y), expected, atol=1e-5, rtol=1e-5)

    select = SelectiveFusion(8, norm_cfg=None)
    logits = select.select(select.squeeze((x + y).mean((2, 3), keepdim=True)))
    share = (logits[:, :8] - logits[:, 8:]).sigmoid()
    torch.testing.assert_close(select(x, y), share * x + (1 - share) * y)


@torch.no_grad()
def test_inception_joins_what_two_kernel_sizes_see():
    layer = InceptionConv(8, dict(type='AddFusion'), stride=2, dilation=2).eval()
    x = torch.randn(1, 8, 9, 11)
    torch.testing.assert_close(layer(x), layer.small(x) + layer.large(x))
    assert layer(x).shape == (1, 8, 5, 6)
    assert layer.large.conv.kernel_size == (5, 5)


def networks(fusion: dict) -> dict[str, nn.Module]:
    resnet = dict(
        type='AttnResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')
    )
    inception = dict(type='InceptionConv', fusion=fusion)
    pyramid = dict(type='AFFFPN', in_channels=(8, 16, 32, 64), out_channels=16, num_outs=4)
    return {
        'short skips': MODELS.build(dict(resnet, fusion=fusion)),
        'one layer': MODELS.build(dict(resnet, conv2=inception)),
        'long skips': nn.Sequential(
            MODELS.build(resnet), MODELS.build(dict(pyramid, fusion=fusion))
        ),
    }


@pytest.mark.parametrize('fusion', FUSIONS, ids=str)
def test_every_fusion_trains_at_every_place(fusion):
    torch.manual_seed(0)
    for place, network in networks(fusion).items():
        outputs = network(torch.randn(2, 3, 64, 64))
        sum(output.square().mean() for output in outputs).backward()
        for key, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), (place, key)
