"""Cross entropy in bands against PyTorch's of resized logits."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mmattn.ops import upsampled_cross_entropy

SIZES = {
    'up': ((6, 9), (48, 72)),
    'odd': ((5, 7), (37, 30)),
    'one row': ((1, 6), (9, 24)),
    'one column': ((6, 1), (24, 9)),
    'one pixel': ((1, 1), (7, 5)),
    'to one pixel': ((4, 5), (1, 1)),
    'same': ((6, 8), (6, 8)),
    'down': ((23, 30), (9, 11)),
    'mixed': ((5, 30), (20, 7)),
}
each_alignment = pytest.mark.parametrize('align_corners', [False, True])


@pytest.fixture(params=['one band', 'bands', 'rows'])
def budget(request, monkeypatch):
    """Of the bands: everything at once, some rows of an image, single rows."""
    numbers = {'one band': 2**20, 'bands': 2**12, 'rows': 1}[request.param]
    monkeypatch.setattr('mmattn.ops.cross_entropy._CACHE_BYTES', 4 * numbers)
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)


def make_inputs(
    size=(6, 9), label_size=(48, 72), batch=3, num_classes=5, dtype=torch.float32
) -> tuple[Tensor, Tensor]:
    """Logits, and labels of which a tenth is 255."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(batch, num_classes, *size, generator=generator, dtype=torch.float64)
    label = torch.randint(num_classes, (batch, *label_size), generator=generator)
    ignored = torch.rand(label.shape, generator=generator) < 0.1
    return logits.to(dtype).requires_grad_(), label.masked_fill(ignored, 255)


def expected(
    logits: Tensor, label: Tensor, align_corners: bool, ignore_index: int = 255, **options
) -> tuple[Tensor, Tensor]:
    """PyTorch's sum, and the counted pixels whose highest logit is that of the label."""
    size = label.shape[1:]
    resized = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    total = F.cross_entropy(resized, label, reduction='sum', ignore_index=ignore_index, **options)
    return total, ((resized.argmax(1) == label) & (label != ignore_index)).sum()


def assert_equal(logits: Tensor, label: Tensor, align_corners: bool, **options) -> None:
    total, correct = upsampled_cross_entropy(logits, label, align_corners=align_corners, **options)
    expected_total, expected_correct = expected(logits, label, align_corners, **options)
    torch.testing.assert_close(total, expected_total, rtol=1e-5, atol=0)
    assert correct == expected_correct
    (grad,) = torch.autograd.grad(total, logits)
    (expected_grad,) = torch.autograd.grad(expected_total, logits)
    assert (grad - expected_grad).abs().max() <= 1e-5 * expected_grad.abs().max()


@each_alignment
@pytest.mark.parametrize('sizes', SIZES.values(), ids=SIZES)
def test_value_and_gradient_are_pytorchs(sizes, align_corners, budget):
    assert_equal(*make_inputs(*sizes), align_corners)


@each_alignment
def test_classes_have_weights(align_corners, budget):
    weight = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0])
    assert_equal(*make_inputs(), align_corners, weight=weight)


def test_another_label_is_ignored():
    logits, label = make_inputs()
    assert_equal(logits, label.masked_fill(label == 255, -100), False, ignore_index=-100)
    assert_equal(logits, label.masked_fill(label == 255, 2), False, ignore_index=2)


def test_an_ignored_image_counts_for_nothing():
    logits, label = make_inputs()
    label[1] = 255
    assert_equal(logits, label, False)
    total, correct = upsampled_cross_entropy(logits[1:2], label[1:2], align_corners=False)
    assert total == 0 and correct == 0
    assert not torch.autograd.grad(total, logits)[0].any()


def test_large_logits_neither_overflow_nor_vanish():
    logits, label = make_inputs()
    assert_equal((1e4 * logits).detach().requires_grad_(), label, False)


def test_a_pixel_with_two_highest_logits_is_not_correct():
    logits, label = torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 4, dtype=torch.long)
    assert upsampled_cross_entropy(logits, label, align_corners=False)[1] == 0
    logits[:, 0] = 1
    assert upsampled_cross_entropy(logits, label, align_corners=False)[1] == 16


@each_alignment
def test_gradient_is_that_of_finite_differences(align_corners):
    logits, label = make_inputs((3, 4), (8, 7), batch=2, dtype=torch.float64)
    weight = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0])

    def total(logits: Tensor) -> Tensor:
        return upsampled_cross_entropy(logits, label, align_corners=align_corners, weight=weight)[0]

    assert torch.autograd.gradcheck(total, logits)


def test_second_derivative_is_refused():
    logits, label = make_inputs()
    total, _ = upsampled_cross_entropy(logits, label, align_corners=False)
    with pytest.raises(RuntimeError, match=r'differentiable once, but create_graph=True'):
        torch.autograd.grad(total, logits, create_graph=True)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    logits, label = make_inputs(dtype=dtype)
    exact = logits.detach().float().requires_grad_()
    expected_total, expected_correct = expected(exact, label, False)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        total, correct = upsampled_cross_entropy(logits, label, align_corners=False)
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, expected_total, rtol=1e-5, atol=0)
    assert correct == expected_correct
    (grad,) = torch.autograd.grad(total, logits)
    (expected_grad,) = torch.autograd.grad(expected_total, exact)
    torch.testing.assert_close(grad, expected_grad.to(dtype))


def test_layout_of_the_logits_does_not_matter():
    logits, label = make_inputs()
    last = logits.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    for x in (logits, last):
        upsampled_cross_entropy(x, label, align_corners=False)[0].backward()
    assert torch.equal(logits.grad, last.grad)


def test_without_gradients_there_is_no_graph():
    logits, label = make_inputs()
    with torch.no_grad():
        total, _ = upsampled_cross_entropy(logits, label, align_corners=False)
    assert not total.requires_grad
    frozen, _ = upsampled_cross_entropy(logits.detach(), label, align_corners=False)
    assert not frozen.requires_grad
    torch.testing.assert_close(total, expected(logits, label, False)[0].detach())
    assert torch.equal(total, frozen)


def test_runs_with_deterministic_algorithms():
    logits, label = make_inputs()
    torch.use_deterministic_algorithms(True)
    try:
        assert_equal(logits, label, False)
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_label_that_is_no_class_fails_in_pytorchs_words():
    logits, label = make_inputs()
    for value in (5, -1):
        label[0, 0, 0] = value
        with pytest.raises(IndexError, match=f'^Target {value} is out of bounds'):
            expected(logits, label, False)
        with pytest.raises(IndexError, match=f'^Target {value} is out of bounds'):
            upsampled_cross_entropy(logits, label, align_corners=False)


@pytest.mark.parametrize(
    ('logits', 'label', 'weight', 'message'),
    [
        ((2, 5, 4, 4), (3, 8, 8), None, r'got logits \(2, 5, 4, 4\) and label \(3, 8, 8\)'),
        ((5, 4, 4), (2, 8, 8), None, r'logits must be \(N, C, h, w\)'),
        ((2, 5, 4, 4), (2, 1, 8, 8), None, r'label \(N, H, W\)'),
        ((2, 5, 4, 4), (2, 0, 8), None, 'must not be empty'),
        ((2, 5, 4, 4), (2, 8, 8), (4,), r'weight must hold .* \(5,\), got \(4,\)'),
    ],
)
def test_shapes_that_do_not_fit_are_named(logits, label, weight, message):
    with pytest.raises(ValueError, match=message):
        upsampled_cross_entropy(
            torch.zeros(logits),
            torch.zeros(label, dtype=torch.long),
            align_corners=False,
            weight=None if weight is None else torch.ones(weight),
        )
