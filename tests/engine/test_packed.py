"""Convolutions whose weight is packed once: those of torch, whatever happens to them."""

import copy
import pickle

import pytest
import torch
from torch import nn

from mmattn.cost import count_macs
from mmattn.engine import packed as packed_module
from mmattn.engine.packed import PackedConv2d, pack_convolutions
from mmattn.processor import cpu_has_bfloat16

SETTINGS = [
    dict(kernel_size=3, padding=2, dilation=2),
    dict(kernel_size=1, stride=2, bias=False),
    dict(kernel_size=(1, 7), padding=(0, 3)),
]
needs_bfloat16 = pytest.mark.skipif(
    not cpu_has_bfloat16(), reason='this CPU has no kernels for bfloat16'
)


def pair(**settings) -> tuple[nn.Conv2d, PackedConv2d]:
    torch.manual_seed(0)
    plain = nn.Conv2d(128, 192, **(settings or SETTINGS[0]))
    plain = plain.to(memory_format=torch.channels_last).requires_grad_(False)
    packed = copy.deepcopy(plain)
    pack_convolutions(packed)
    assert type(packed) is PackedConv2d
    return plain, packed


def image(*size: int) -> torch.Tensor:
    x = torch.randn(2, 128, *(size or (9, 13)), generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('settings', SETTINGS, ids=['dilated', 'strided', 'uneven'])
def test_they_give_what_torch_gives_for_every_size(settings):
    plain, packed = pair(**settings)
    made = []
    for size in ((9, 13), (20, 7), (9, 13)):
        out = packed(image(*size))
        torch.testing.assert_close(out, plain(image(*size)), atol=1e-5, rtol=1e-5)
        assert out.is_contiguous(memory_format=torch.channels_last)
        made.append(packed._packed)
    assert made[0] is made[1] is made[2] is not None


@needs_bfloat16
@pytest.mark.parametrize('settings', SETTINGS, ids=['dilated', 'strided', 'uneven'])
def test_under_autocast_they_compute_as_it_says(settings):
    plain, packed = pair(**settings)
    before = packed(image())
    with torch.autocast('cpu', torch.bfloat16):
        out, expected = packed(image()), plain(image())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected)
    assert torch.equal(packed(image()), before)


def test_without_kernels_for_bfloat16_they_do_as_torch_does(monkeypatch):
    monkeypatch.setattr(packed_module, 'cpu_has_bfloat16', lambda: False)
    plain, packed = pair()
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(packed(image()), plain(image()))
    assert packed._packed is None


def change_in_place(module: nn.Module) -> nn.Module:
    module.weight.mul_(2)
    return module


def load(module: nn.Module) -> nn.Module:
    module.load_state_dict({name: 3 * value for name, value in module.state_dict().items()})
    return module


def new_bias(module: nn.Module) -> nn.Module:
    module.bias = nn.Parameter(torch.ones(192), requires_grad=False)
    return module


def new_weights(module: nn.Module) -> nn.Module:
    """Replaced so often that one of them lies where the first one lay, if nothing else does."""
    for factor in range(2, 8):
        module.weight = nn.Parameter(factor * torch.ones_like(module.weight), requires_grad=False)
    return module


@pytest.mark.parametrize(
    'change', [change_in_place, load, new_bias, new_weights, nn.Module.double, copy.deepcopy]
)
def test_they_notice_that_their_weight_has_changed(change):
    plain, packed = pair()
    x = image()
    packed(x)
    plain, packed = change(plain), change(packed)
    x = x.to(plain.weight.dtype)
    torch.testing.assert_close(packed(x), plain(x), atol=1e-4, rtol=1e-5)


def test_weights_whose_changes_are_not_counted_are_not_packed():
    with torch.inference_mode():
        plain, packed = pair()
        packed(image())
        plain.weight.mul_(2)
        packed.weight.mul_(2)
        torch.testing.assert_close(packed(image()), plain(image()))


def test_they_can_be_sent_to_another_process():
    _, packed = pair()
    expected = packed(image())
    packed.compile()
    assert torch.equal(pickle.loads(pickle.dumps(packed))(image()), expected)


def test_gradients_go_through_them():
    plain, packed = pair()
    grads = []
    for module in (plain, packed):
        x = image().requires_grad_()
        module(x).square().sum().backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


def test_gradients_of_the_bias_alone_go_through_them():
    _, packed = pair()
    packed.bias.requires_grad_()
    packed(image()).sum().backward()
    assert packed.bias.grad.unique().tolist() == [2 * 9 * 13]


@pytest.mark.parametrize(
    'derive',
    [
        lambda f, x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
        lambda f, x: torch.func.grad(lambda x: f(x).square().sum())(x),
        lambda f, x: torch.func.vmap(f)(x[:, None]),
        lambda f, x: torch.jit.trace(f, x, check_trace=False)(x),
    ],
    ids=['jvp', 'grad', 'vmap', 'trace'],
)
def test_transforms_see_the_plain_convolution(derive):
    plain, packed = pair()
    packed(image())
    torch.testing.assert_close(derive(packed, image()), derive(plain, image()))


def test_inputs_that_torch_refuses_are_refused():
    _, packed = pair()
    with pytest.raises(RuntimeError, match='type'):
        packed(image().double())


def test_an_export_has_the_convolution_that_every_runtime_knows():
    _, packed = pair()
    packed(image())
    program = torch.export.export(nn.Sequential(packed), (image(),), strict=False)
    called = {str(node.target) for node in program.graph.nodes if node.op == 'call_function'}
    assert called == {'aten.conv2d.default'}


def test_their_products_are_counted():
    plain, packed = pair()
    assert count_macs(lambda: packed(image())) == count_macs(lambda: plain(image())) > 0


@pytest.mark.parametrize(
    'convolution',
    [
        nn.Conv2d(128, 128, 3, groups=128),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(128, 192, 3, padding='same'),
        nn.Conv2d(128, 192, 3, padding=1, padding_mode='circular'),
        nn.ConvTranspose2d(128, 192, 3),
    ],
    ids=['depthwise', 'small', 'named padding', 'circular', 'transposed'],
)
def test_others_stay_as_they_are(convolution):
    kind = type(convolution)
    pack_convolutions(convolution)
    assert type(convolution) is kind
