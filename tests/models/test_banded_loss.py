"""Heads compute their cross entropy in bands of the label where mmseg's would resize all logits."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.benchmarks.memory import peak_memory
from mmattn.models.decode_heads import banded_loss

LOSS = dict(type='CrossEntropyLoss')
CLASSES = 7
WEIGHTS = [0.5, 2.0, 0.1, 1.0, 3.0, 1.0, 0.7]
SHAPES = {'odd': ((13, 17), (131, 150)), 'even': ((16, 16), (128, 160))}


def build(name: str = 'GCNetHead', **options) -> nn.Module:
    torch.manual_seed(0)
    common = dict(in_channels=8, channels=8, num_classes=CLASSES, loss_decode=LOSS)
    return MODELS.build(dict(type=name, **common | options))


def make_logits(
    size: tuple[int, int] = (13, 17), classes: int = CLASSES, dtype: torch.dtype = torch.float32
) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, classes, *size, generator=generator)
    return logits.to(dtype).requires_grad_()


def make_samples(
    size: tuple[int, int] = (131, 150), ignored: float = 0.1, ignore_index: int = 255
) -> list[SegDataSample]:
    generator = torch.Generator().manual_seed(2)
    label = torch.randint(CLASSES, (2, 1, *size), generator=generator)
    label[torch.rand(label.shape, generator=generator) < ignored] = ignore_index
    return [SegDataSample(gt_sem_seg=PixelData(data=x)) for x in label]


@pytest.fixture
def calls(monkeypatch) -> list[tuple]:
    """The shapes of the logits whose loss was computed in bands."""
    shapes, compute = [], banded_loss.upsampled_cross_entropy

    def record(logits: Tensor, *args, **options) -> tuple[Tensor, Tensor]:
        shapes.append(tuple(logits.shape))
        return compute(logits, *args, **options)

    monkeypatch.setattr(banded_loss, 'upsampled_cross_entropy', record)
    return shapes


def both(head: nn.Module, logits: Tensor, samples: list[SegDataSample]) -> list[tuple]:
    """(losses, gradient) of the head and of mmseg's code on the same head."""
    results = []
    for compute in (type(head).loss_by_feat, BaseDecodeHead.loss_by_feat):
        losses = compute(head, logits, samples)
        results.append((losses, torch.autograd.grad(losses['loss_ce'], logits)[0]))
    return results


def assert_equal(ours: tuple, theirs: tuple) -> None:
    (losses, grad), (expected, expected_grad) = ours, theirs
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-7)
    assert (grad - expected_grad).abs().max() <= 1e-5 * expected_grad.abs().max()


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('sizes', SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    'loss',
    [
        dict(),
        dict(loss_weight=0.4, loss_name='loss_ce'),
        dict(avg_non_ignore=True),
    ],
    ids=str,
)
def test_losses_accuracy_and_gradients_are_mmsegs(loss, sizes, align_corners, calls):
    head = build(align_corners=align_corners, loss_decode=LOSS | loss)
    assert_equal(*both(head, make_logits(sizes[0]), make_samples(sizes[1])))
    assert calls == [(2, CLASSES, *sizes[0])]


def test_weighted_classes_are_mmsegs(calls):
    head = build(loss_decode=dict(LOSS, class_weight=WEIGHTS))
    assert_equal(*both(head, make_logits(), make_samples(ignored=0)))
    assert calls


@pytest.mark.parametrize(('size', 'banded'), [((131, 150), 2), ((40, 50), 0)])
def test_weighted_mean_of_the_counted_pixels_is_pytorchs(size, banded, calls):
    """mmseg's two distributions fail with ignored pixels, the one always, the other with
    ``avg_non_ignore``."""
    logits, samples = make_logits(), make_samples(size)
    for avg_non_ignore in (False, True):
        loss = dict(LOSS, class_weight=WEIGHTS, avg_non_ignore=avg_non_ignore)
        actual = build(loss_decode=loss).loss_by_feat(logits, samples)['loss_ce']
        label = torch.cat([sample.gt_sem_seg.data for sample in samples])
        resized = F.interpolate(logits, label.shape[1:], mode='bilinear')
        expected = F.cross_entropy(resized, label, torch.tensor(WEIGHTS), ignore_index=255)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=0)
    assert len(calls) == banded


@pytest.mark.parametrize('avg_non_ignore', [False, True])
def test_void_images_are_mmsegs(avg_non_ignore, calls):
    head = build(loss_decode=dict(LOSS, avg_non_ignore=avg_non_ignore))
    samples = make_samples(ignored=2)
    ours, theirs = both(head, make_logits(), samples)
    assert_equal(ours, theirs)
    assert ours[0]['loss_ce'] == 0
    samples[0] = make_samples()[0]
    assert_equal(*both(head, make_logits(), samples))


def test_another_label_is_ignored(calls):
    head = build(ignore_index=3)
    assert_equal(*both(head, make_logits(), make_samples(ignore_index=3)))
    assert calls


def test_autocast_is_at_least_as_exact_as_mmsegs(calls):
    head, logits, samples = build(), make_logits(dtype=torch.bfloat16), make_samples()
    exact_logits = logits.detach().double().requires_grad_()
    exact = BaseDecodeHead.loss_by_feat(head, exact_logits, samples)['loss_ce']
    (exact_grad,) = torch.autograd.grad(exact, exact_logits)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        ours, theirs = both(head, logits, samples)
    assert calls

    def errors(result: tuple) -> tuple[float, float]:
        losses, grad = result
        return (losses['loss_ce'] - exact).abs().item(), (grad - exact_grad).norm().item()

    for error, expected in zip(errors(ours), errors(theirs), strict=True):
        assert error <= expected + 1e-6
    torch.testing.assert_close(ours[0]['acc_seg'], theirs[0]['acc_seg'], rtol=0, atol=0.01)


def test_each_loss_of_danet_is_computed_in_bands(calls):
    head = build('DANetHead', pam_channels=4)
    outputs = [make_logits() * factor for factor in (1, 2, 3)]
    losses = head.loss_by_feat(tuple(outputs), make_samples())
    assert len(calls) == 3
    for name, logits in zip(('pam_cam', 'pam', 'cam'), outputs, strict=True):
        expected = BaseDecodeHead.loss_by_feat(head, logits, make_samples())
        for key, value in expected.items():
            torch.testing.assert_close(losses[f'{name}.{key}'], value, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ('name', 'options', 'count'),
    [
        ('ANLHead', dict(in_channels=(8, 8), in_index=(0, 1), project_channels=4), 1),
        ('CCNetHead', {}, 1),
        ('GCNetHead', {}, 1),
        ('AttentionHead', dict(attention=dict(type='CBAM')), 1),
        ('BandedFCNHead', dict(num_convs=1, concat_input=False), 1),
        ('OCRNetHead', dict(ocr_channels=4), 1),
        ('FLAHead', dict(in_channels=(8, 8, 8), in_index=(0, 1, 2)), 3),
    ],
)
def test_every_head_trains_with_it(name, options, count, calls):
    head = build(name, **{'in_index': 0, **options}).train()
    feats = [torch.randn(2, 8, 13, 17) for _ in range(3)]
    previous = [make_logits()] if name == 'OCRNetHead' else []
    losses = head.loss(feats, *previous, make_samples(), {})
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert len(calls) == count
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize(
    'options',
    [
        dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=1000)),
        dict(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)),
        dict(loss_decode=[LOSS, dict(type='DiceLoss')]),
    ],
    ids=['sampler', 'sigmoid', 'two losses'],
)
def test_other_losses_are_mmsegs_own(options, calls):
    ours, theirs = both(build(**options), make_logits(), make_samples())
    torch.testing.assert_close(ours, theirs)
    assert not calls


def test_small_and_shrunk_maps_are_mmsegs_own(calls):
    torch.testing.assert_close(*both(build(), make_logits(), make_samples((40, 40))))
    torch.testing.assert_close(*both(build(), make_logits((200, 220)), make_samples((180, 200))))
    assert not calls


def test_what_is_kept_for_the_backward_pass_is_as_large_as_the_logits():
    head, logits, samples = build(), make_logits((16, 16)), make_samples((256, 256))
    kept = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x.nbytes)
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, keep):
        head.loss_by_feat(logits, samples)
    assert sum(kept) < 1.1 * logits.nbytes


def test_extra_memory_is_a_small_part_of_mmsegs(calls, monkeypatch):
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)  # of which each has its cache
    head = build(num_classes=38)
    logits, samples = make_logits((32, 64), classes=38), make_samples((256, 512))

    def peak(compute) -> int:
        def job() -> Tensor:
            losses = compute(head, logits, samples)
            return torch.autograd.grad(losses['loss_ce'], logits)[0]

        return peak_memory(job, 'cpu')

    ours, theirs = peak(type(head).loss_by_feat), peak(BaseDecodeHead.loss_by_feat)
    assert calls
    assert ours < theirs / 6
