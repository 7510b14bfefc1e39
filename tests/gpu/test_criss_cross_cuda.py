"""The criss-cross kernels on a GPU, against the composition in float64."""

import pytest
import torch
from torch import Tensor

from mmattn.ops import composed_criss_cross_attention, criss_cross_attention
from mmattn.ops.extension import EXTENSION

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device'),
    pytest.mark.skipif('cuda' not in EXTENSION.devices, reason=EXTENSION.missing('cuda')),
]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
NAMES = ('out', 'grad_query', 'grad_key', 'grad_value')


def make_inputs(
    dtype: torch.dtype,
    height: int = 67,
    width: int = 35,
    query_channels: int = 16,
    channels: int = 136,
    batch: int = 2,
) -> list[Tensor]:
    """Query, key, value and grad_out; scores have a standard deviation of 1."""
    generator = torch.Generator('cuda').manual_seed(0)
    small = query_channels**-0.25
    return [
        torch.randn(batch, c, height, width, generator=generator, device='cuda')
        .mul(factor)
        .to(dtype)
        for c, factor in [(query_channels, small)] * 2 + [(channels, 1)] * 2
    ]


def run(op, query: Tensor, key: Tensor, value: Tensor, grad_out: Tensor) -> list[Tensor]:
    inputs = [x.detach().requires_grad_() for x in (query, key, value)]
    out = op(*inputs)
    return [out.detach(), *torch.autograd.grad(out, inputs, grad_out)]


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize(
    'size',  # H, W, Cq, C, B
    [
        (1, 1, 3, 1, 2),
        (1, 70, 8, 5, 2),
        (90, 1, 17, 40, 2),
        (33, 17, 3, 130, 2),
        (97, 97, 64, 512, 2),  # CCNet on Cityscapes
        (130, 65, 130, 24, 1),
    ],
    ids=str,
)
def test_is_as_exact_as_the_composition(dtype, size):
    inputs = make_inputs(dtype, *size)
    exact = run(composed_criss_cross_attention, *(x.double() for x in inputs))
    composed = run(composed_criss_cross_attention, *inputs)
    results = run(criss_cross_attention, *inputs)
    for name, result, other, expected in zip(NAMES, results, composed, exact, strict=True):
        assert result.dtype == dtype
        error = (result.double() - expected).abs().max()
        allowed = (other.double() - expected).abs().max()
        floor = 1e-6 if dtype == torch.float32 else 0.25 * torch.finfo(dtype).eps
        assert error <= 2 * allowed + floor * expected.abs().max(), name


@pytest.mark.parametrize('dtype', DTYPES)
def test_is_deterministic(dtype):
    inputs = make_inputs(dtype)
    first = run(criss_cross_attention, *inputs)
    for _ in range(5):
        for a, b in zip(first, run(criss_cross_attention, *inputs), strict=True):
            assert torch.equal(a, b)


def shifted(x: Tensor) -> Tensor:
    """x in channels_last, its pixels not aligned in 16 bytes."""
    batch, channels, height, width = x.shape
    data = torch.cat([x.new_zeros(1), x.permute(0, 2, 3, 1).flatten()])[1:]
    return data.view(batch, height, width, channels).permute(0, 3, 1, 2)


@pytest.mark.parametrize('dtype', DTYPES)
def test_layouts_give_the_same_numbers(dtype):
    inputs = make_inputs(dtype)
    expected = run(criss_cross_attention, *inputs)
    channels_last = [x.contiguous(memory_format=torch.channels_last) for x in inputs]
    transposed = [x.transpose(2, 3).contiguous().transpose(2, 3) for x in inputs]
    for layout in (channels_last, transposed, [shifted(x) for x in inputs]):
        for a, b in zip(expected, run(criss_cross_attention, *layout), strict=True):
            assert torch.equal(a, b)


def test_runs_on_the_current_stream():
    inputs = make_inputs(torch.float16)
    expected = run(criss_cross_attention, *inputs)
    late = [torch.zeros_like(x) for x in inputs]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)  # another stream would see the zeros
        for to, x in zip(late, inputs, strict=True):
            to.copy_(x)
        results = run(criss_cross_attention, *late)
    stream.synchronize()
    for a, b in zip(expected, results, strict=True):
        assert torch.equal(a, b)


def test_is_captured_in_a_graph():
    inputs = make_inputs(torch.float16)
    expected = run(criss_cross_attention, *inputs)
    static = [torch.zeros_like(x) for x in inputs]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run(criss_cross_attention, *static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = run(criss_cross_attention, *static)
    for to, x in zip(static, inputs, strict=True):
        to.copy_(x)
    graph.replay()
    for a, b in zip(expected, results, strict=True):
        assert torch.equal(a, b)
