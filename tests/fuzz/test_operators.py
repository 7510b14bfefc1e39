"""Operators take what they document and refuse all else by name; they never end the interpreter."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmattn.ops.criss_cross import composed_criss_cross_attention, criss_cross_attention

from .conftest import amount

FLOATING = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
DTYPES = (*FLOATING, torch.int64, torch.uint8, torch.bool, torch.complex64)
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 0.1, torch.float16: 2e-2}
sizes = st.integers(0, 7)


@st.composite
def tensors(draw) -> torch.Tensor:
    """Any shape, dtype, layout and values."""
    shape = draw(st.lists(sizes, min_size=draw(st.sampled_from([0, 4])), max_size=5))
    dtype = draw(st.sampled_from(DTYPES))
    value = torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    if draw(st.booleans()):
        value = value * draw(st.sampled_from([0.0, 1e4, float('inf'), float('nan')]))
    value = value.to(dtype)
    if value.dim() == 4 and draw(st.booleans()):
        return value.to(memory_format=torch.channels_last)
    return value.transpose(0, -1) if value.dim() > 1 and draw(st.booleans()) else value


@amount(60, 2000)
def test_any_tensors_are_taken_or_refused_with_a_reason(cases):
    @settings(max_examples=cases)
    @given(tensors(), tensors(), tensors(), st.booleans())
    def check(query, key, value, same):
        if same:
            key, value = query.clone(), query[:, :2].clone() if query.dim() == 4 else query
        try:
            output = criss_cross_attention(query, key, value)
        except (TypeError, ValueError) as error:
            assert 'query' in str(error)
            return
        assert output.shape == value.shape

    check()


@amount(60, 1000)
def test_any_fitting_tensors_give_the_numbers_of_the_composition(cases):
    @settings(max_examples=cases)
    @given(
        st.tuples(*[st.integers(1, 4)] * 3, *[st.integers(1, 17)] * 2),
        st.sampled_from(FLOATING),
        st.sampled_from(['contiguous', 'channels last', 'sliced', 'expanded']),
        st.integers(0, 999),
    )
    def check(shape, dtype, layout, seed):
        batch, narrow, wide, height, width = shape
        generator = torch.Generator().manual_seed(seed)

        def make(channels: int) -> torch.Tensor:
            x = torch.randn(batch, channels, height, 2 * width, generator=generator).to(dtype)
            if layout == 'sliced':
                return x[..., ::2].requires_grad_()
            x = x[..., :width].contiguous()
            if layout == 'channels last':
                x = x.to(memory_format=torch.channels_last)
            return (x[:, :1].expand_as(x) if layout == 'expanded' else x).detach().requires_grad_()

        inputs = make(narrow), make(narrow), make(wide)
        results = []
        for function in (criss_cross_attention, composed_criss_cross_attention):
            output = function(*inputs)
            results.append([output, *torch.autograd.grad(output.float().square().sum(), inputs)])
        for one, other in zip(*results, strict=True):
            tolerance = TOLERANCE[dtype] * max(1.0, other.abs().max().item())
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, rtol=0, atol=tolerance)

    check()


@pytest.mark.parametrize('threads', [1, 3])
def test_maps_of_one_pixel_and_of_one_line(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for size in ((1, 1), (1, 9), (9, 1)):
            x = torch.randn(2, 3, *size)
            torch.testing.assert_close(
                criss_cross_attention(x, x, x), composed_criss_cross_attention(x, x, x)
            )
    finally:
        torch.set_num_threads(before)
