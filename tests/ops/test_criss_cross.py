"""The op against its definition, written as loops over pixels."""

import pytest
import torch
from torch import Tensor

from mmattn.ops import criss_cross_attention


def naive(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """One softmax over the H + W - 1 pixels of each cross, in float64."""
    query, key, value = query.double(), key.double(), value.double()
    out = torch.empty_like(value)
    batch, _, height, width = query.shape
    for b in range(batch):
        for h in range(height):
            for w in range(width):
                cross = [(i, w) for i in range(height) if i != h] + [(h, j) for j in range(width)]
                scores = torch.stack([query[b, :, h, w] @ key[b, :, i, j] for i, j in cross])
                values = torch.stack([value[b, :, i, j] for i, j in cross], dim=1)
                out[b, :, h, w] = values @ scores.softmax(0)
    return out


def tensors(height: int, width: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64).to(dtype)
        for channels in (3, 3, 5)
    )


@pytest.mark.parametrize('size', [(5, 7), (7, 5), (1, 6), (6, 1), (1, 1)])
def test_equals_the_definition(size):
    args = tensors(*size)
    torch.testing.assert_close(criss_cross_attention(*args), naive(*args))


def test_huge_and_equal_scores():
    query, key, value = tensors(4, 6, torch.float32)
    for q in (1e4 * query, torch.zeros_like(query)):
        out = criss_cross_attention(q, key, value)
        torch.testing.assert_close(out.double(), naive(q, key, value), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    args = tensors(5, 7, dtype)
    out = criss_cross_attention(*args)
    assert out.dtype == dtype
    error = (out.double() - naive(*args)).abs().max()
    assert error < 8 * torch.finfo(dtype).eps


def test_layouts_give_the_same_numbers():
    args = tensors(5, 7)
    expected = naive(*args)
    channels_last = [x.contiguous(memory_format=torch.channels_last) for x in args]
    transposed = [x.transpose(2, 3).contiguous().transpose(2, 3) for x in args]
    for layout in (channels_last, transposed):
        torch.testing.assert_close(criss_cross_attention(*layout), expected)


def test_gradients():
    args = [x.requires_grad_() for x in tensors(3, 4)]
    assert torch.autograd.gradcheck(criss_cross_attention, args)


@pytest.mark.parametrize(
    ('change', 'error', 'words'),
    [
        (lambda q, k, v: (q[0], k, v), ValueError, r'\(B, C, H, W\), got query \(3, 5, 7\)'),
        (lambda q, k, v: (q, k[:, :2], v), ValueError, 'query and key must have one shape'),
        (lambda q, k, v: (q, k, v[:, :, :4]), ValueError, 'value must share B, H and W'),
        (lambda q, k, v: (q, k, v[:1]), ValueError, r'value \(1, 5, 5, 7\)'),
        (lambda q, k, v: (q[:0], k[:0], v[:0]), ValueError, 'must not be empty'),
        (lambda q, k, v: (q, k, v.half()), TypeError, 'one dtype.*torch.float16'),
        (lambda q, k, v: (q, k, v.to('meta')), TypeError, 'one device.*meta'),
    ],
)
def test_wrong_inputs_are_named(change, error, words):
    with pytest.raises(error, match=words):
        criss_cross_attention(*change(*tensors(5, 7)))
