"""Attention in chunks is attention, with less memory."""

from functools import partial

import pytest
import torch
from torch.autograd import forward_ad
from torch.nn import functional as F

from mmattn.attention import chunks, functional
from mmattn.attention.chunks import attend_in_chunks, plain_attention
from mmattn.attention.fully_attentional import ChannelsOfLines
from mmattn.attention.functional import dot_product_attention, multi_head_attention
from mmattn.benchmarks.memory import peak_memory


def inputs(batch=3, queries=10, keys=7, width=4, value_width=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shapes = (queries, width), (keys, width), (keys, value_width)
    return [
        torch.randn(batch, *shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in shapes
    ]


# Keys are 7 and queries 10: a query, four queries, an image, two images, all three at a time.
@pytest.mark.parametrize('scores', [1, 28, 70, 140, 1000])
def test_chunks_of_any_size_give_the_output_and_gradients_of_the_whole(monkeypatch, scores):
    monkeypatch.setattr(chunks, 'CHUNK', scores)
    x = inputs()
    expected, out = plain_attention(*x), attend_in_chunks(*x)
    torch.testing.assert_close(out, expected)
    grad = torch.randn_like(out)
    for one, other in zip(*(torch.autograd.grad(y, x, grad) for y in (out, expected)), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(attend_in_chunks, x)


def test_the_second_derivative_is_that_of_the_composition(monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK', 20)
    x = inputs(1, 4, 3, 2, 2)
    assert torch.autograd.gradgradcheck(attend_in_chunks, x)


def test_the_second_derivative_of_one_tensor_in_two_places(monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK', 20)
    query, key, _ = inputs(1, 4, 3, 2, 2)
    query = query.detach()
    assert torch.autograd.gradgradcheck(lambda key: attend_in_chunks(query, key, key), key)


def test_autocast_leaves_float64_alone(monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK', 20)
    x = inputs()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(attend_in_chunks(*x), plain_attention(*x))


@pytest.mark.parametrize('training', [True, False])
def test_a_large_map_compiles_to_one_graph(monkeypatch, training):
    for limit in ('CHUNK', '_LARGE_MAP'):
        monkeypatch.setattr(functional, limit, 20)
    x = [torch.randn(1, width, 4, 5, requires_grad=True) for width in (2, 2, 3)]
    compiled = torch.compile(dot_product_attention, backend='eager', fullgraph=True)
    with torch.set_grad_enabled(training):
        torch.testing.assert_close(compiled(*x, scale=1.0), dot_product_attention(*x, scale=1.0))


def test_inference_in_bfloat16_is_as_exact_as_the_composition(monkeypatch):
    for module in (functional, chunks):
        monkeypatch.setattr(module, 'CHUNK', 1000)
    x = [torch.randn(1, width, 16, 16).bfloat16() for width in (16, 16, 32)]
    exact = plain_attention(*(t.flatten(2).transpose(1, 2).double() for t in x)).transpose(1, 2)
    with torch.no_grad():
        out = dot_product_attention(*x, scale=1.0).flatten(2)
    plain = plain_attention(*(t.flatten(2).transpose(1, 2) for t in x)).transpose(1, 2)
    assert (out - exact).norm() <= 1.05 * (plain - exact).norm()


@pytest.mark.parametrize('scores', [96**2 // 48, 10 * 96**2], ids=['96 chunks', 'one chunk'])
@pytest.mark.parametrize('sums', ['of any sign', 'of one sign'])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_as_exact_as_the_composition(dtype, sums, scores, monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK', scores)
    x = inputs(2, 96, 96, 16, 16, torch.float32)
    grad = torch.randn(2, 96, 16, generator=torch.Generator().manual_seed(0))
    grad = grad.abs() if sums == 'of one sign' else grad
    exact = torch.autograd.grad(plain_attention(*(t.double() for t in x)), x, grad.double())

    def errors(attend):
        with torch.autocast('cpu', dtype):
            out = attend(*x)
        assert out.dtype == dtype
        found = torch.autograd.grad(out, x, grad.to(dtype))
        return torch.tensor([(a - b).norm() for a, b in zip(found, exact, strict=True)])

    assert (errors(attend_in_chunks) <= 1.05 * errors(plain_attention)).all()


def test_heads_in_bfloat16_are_as_exact_as_the_composition(monkeypatch):
    """Several heads have chunks in place of torch's kernel, which is slow in that type."""
    for module in (functional, chunks):
        monkeypatch.setattr(module, 'CHUNK', 96 * 80 // 2)
    monkeypatch.setattr(F, 'scaled_dot_product_attention', None)
    x = [t.unflatten(0, (2, 4)) for t in inputs(8, 96, 80, 16, 16, torch.float32)]
    grad = torch.randn(2, 4, 96, 16, generator=torch.Generator().manual_seed(0))

    def plain(query, key, value):
        of_heads = (t.flatten(0, 1) for t in (0.25 * query, key, value))
        return plain_attention(*of_heads).unflatten(0, (2, 4))

    exact = torch.autograd.grad(plain(*(t.double() for t in x)), x, grad.double())

    def errors(attend):
        with torch.autocast('cpu', torch.bfloat16):
            out = attend(*x)
        found = torch.autograd.grad(out, x, grad.to(out.dtype))
        return torch.tensor([(a - b).norm() for a, b in zip(found, exact, strict=True)])

    assert (errors(partial(multi_head_attention, scale=0.25)) <= 1.05 * errors(plain)).all()


def test_training_on_a_large_map_keeps_a_small_part_of_the_memory():
    x = [torch.randn(1, width, 72, 72, requires_grad=True) for width in (8, 8, 32)]

    def train():
        return torch.autograd.grad(dot_product_attention(*x, scale=1.0).sum(), x)

    scores = 4 * 72**4  # bytes, of which the composition holds three
    assert peak_memory(train, 'cpu') < 0.5 * scores


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_lines_that_are_queries_and_values_are_kept_once(dtype, monkeypatch):
    for module in (functional, chunks):
        monkeypatch.setattr(module, 'CHUNK', 1000)
    x = torch.randn(1, 16, 32, 32, requires_grad=True)
    kept = {}

    def keep(saved):
        kept[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with torch.autocast('cpu', dtype, enabled=dtype != torch.float32):
        attention = ChannelsOfLines('rows', x, torch.nn.Linear(16, 16))
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
            assert attention.compute().requires_grad
    assert sum(kept.values()) == (attention.lines.numel() + attention.key.numel()) * dtype.itemsize


@pytest.mark.parametrize('width', [8, 32], ids=['narrow keys', 'equal widths'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_inference_on_a_large_map_has_a_small_part_of_it_in_memory(dtype, width):
    x = [torch.randn(1, channels, 72, 72).to(dtype) for channels in (width, width, 32)]
    with torch.no_grad():
        peak = peak_memory(lambda: dot_product_attention(*x, scale=1.0), 'cpu')
    assert peak < 0.8 * dtype.itemsize * 72**4  # the composition holds two


def test_small_maps_are_not_computed_twice(monkeypatch):
    monkeypatch.setattr(functional, 'attend_in_chunks', None)
    x = [torch.randn(8, width, 23, 30, requires_grad=True) for width in (4, 4, 8)]
    dot_product_attention(*x, scale=1.0).sum().backward()


def with_dual_numbers(function):
    def tangent(x):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, torch.ones_like(x))
            return forward_ad.unpack_dual(function(dual)).tangent

    return tangent


def with_batched_gradients(function):
    def grad(x):
        x = x.clone().requires_grad_()
        weights = torch.arange(3, dtype=x.dtype)
        return torch.autograd.grad(function(x), x, weights, is_grads_batched=True)

    return grad


@pytest.mark.parametrize(
    'transform',
    [
        torch.func.grad,
        torch.func.hessian,
        lambda function: torch.func.vmap(torch.func.grad(function)),
        lambda function: lambda x: torch.func.jvp(function, (x,), (x,)),
        with_dual_numbers,
        with_batched_gradients,
    ],
    ids=['grad', 'hessian', 'vmap of grad', 'jvp', 'dual numbers', 'batched gradients'],
)
def test_transforms_of_attention_on_a_large_map_are_those_on_a_small_one(transform, monkeypatch):
    def attend(x):
        x = x.reshape(-1, 3, 5)
        return dot_product_attention(x, x + 1, x, scale=1.0).square().sum()

    x = torch.randn(2, 3, 5, dtype=torch.float64)
    expected = transform(attend)(x)
    for module in (functional, chunks):
        monkeypatch.setattr(module, 'CHUNK', 10)
    torch.testing.assert_close(transform(attend)(x), expected)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_compiled_training_keeps_no_map_of_scores(monkeypatch):
    for module in (functional, chunks):
        monkeypatch.setattr(module, 'CHUNK', 1000)
    x = [torch.randn(1, width, 24, 24, requires_grad=True) for width in (4, 4, 8)]
    compiled = torch.compile(dot_product_attention, backend='aot_eager', fullgraph=True)
    largest = 0

    def keep(saved):
        nonlocal largest
        largest = max(largest, saved.numel())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        out = compiled(*x, scale=1.0)
    expected = torch.autograd.grad(dot_product_attention(*x, scale=1.0).square().sum(), x)
    torch.testing.assert_close(torch.autograd.grad(out.square().sum(), x), expected)
    assert 0 < largest <= 8 * 24**2


def test_gradients_of_functions_of_torch():
    x = inputs(1, 6, 5, 2, 3)
    expected = torch.autograd.grad(plain_attention(*x).square().sum(), x)
    for argnums in [(0, 1, 2), (1,)]:
        grad = torch.func.grad(lambda *x: attend_in_chunks(*x).square().sum(), argnums)
        torch.testing.assert_close(grad(*x), tuple(expected[number] for number in argnums))
