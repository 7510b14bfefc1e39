"""The category consistent loss against its formulas, and in CCNet's head."""

from functools import partial

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from mmattn.models import CategoryConsistentLoss

V, D = 0.5, 1.5


def naive(feats: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """Pixel by pixel, after the equations."""
    pixels = [
        (int(labels[b, 0, y, x]), feats[b, :, y, x])
        for b in range(feats.shape[0])
        for y in range(feats.shape[2])
        for x in range(feats.shape[3])
        if labels[b, 0, y, x] != 255
    ]
    names = sorted({name for name, _ in pixels})
    groups = {c: [h for name, h in pixels if name == c] for c in names}
    means = {c: sum(group) / len(group) for c, group in groups.items()}

    def phi(d: float) -> float:
        if d > D:
            return d - D + (D - V) ** 2
        return (d - V) ** 2 if d > V else 0.0

    var = sum(
        sum(phi(float((means[c] - h).norm())) for h in groups[c]) / len(groups[c]) for c in names
    ) / len(names)
    dis = sum(
        max(0.0, 2 * D - float((means[a] - means[b]).norm())) ** 2
        for a in names
        for b in names
        if a != b
    ) / (len(names) * (len(names) - 1))
    reg = sum(float(means[c].norm()) for c in names) / len(names)
    return [var, dis, 0.001 * reg]


@pytest.mark.parametrize('scale', [0.2, 0.6, 2.0])  # pixels near, between and far
def test_terms_are_those_of_the_equations(scale):
    generator = torch.Generator().manual_seed(0)
    feats = scale * torch.randn(2, 4, 3, 5, generator=generator)
    labels = torch.tensor([0, 2, 5, 255])[torch.randint(0, 4, (2, 1, 3, 5), generator=generator)]
    losses = CategoryConsistentLoss(V, D)(feats, labels)
    assert list(losses) == ['loss_var', 'loss_dis', 'loss_reg']
    torch.testing.assert_close(
        torch.stack(list(losses.values())), torch.tensor(naive(feats, labels))
    )


def test_gradients_are_right_and_finite_where_pixels_are_their_mean():
    labels = torch.tensor([[[[0, 0, 1], [1, 2, 255]]]])
    generator = torch.Generator().manual_seed(0)
    feats = torch.randn(1, 3, 2, 3, generator=generator, dtype=torch.double, requires_grad=True)
    loss = CategoryConsistentLoss()
    assert torch.autograd.gradcheck(lambda x: tuple(loss(x, labels).values()), feats)

    alike = torch.zeros(1, 3, 2, 3, requires_grad=True)
    sum(loss(alike, labels).values()).backward()
    assert alike.grad.isfinite().all()


@pytest.mark.parametrize('label', [255, 3])
def test_void_or_one_category_alone_still_trains(label):
    feats = torch.randn(1, 3, 2, 3, requires_grad=True)
    losses = CategoryConsistentLoss()(feats, torch.full((1, 1, 4, 6), label))
    assert losses['loss_dis'] == 0
    sum(losses.values()).backward()
    assert feats.grad.isfinite().all()


def test_wrong_margins_are_named():
    with pytest.raises(ValueError, match='delta_d must be above delta_v.*got 0.5 and 1.5'):
        CategoryConsistentLoss(1.5, 0.5)


def head(**options) -> torch.nn.Module:
    torch.manual_seed(0)
    options = dict(in_channels=8, channels=16, num_classes=5, norm_cfg=dict(type='BN')) | options
    return MODELS.build(dict(type='CCNetHead', **options))


def batch() -> tuple[list[torch.Tensor], list[SegDataSample], dict]:
    """The arguments of a head's loss."""
    labels = torch.randint(0, 5, (2, 1, 24, 28))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    return [torch.randn(2, 8, 6, 7)], samples, {}


def test_ccnet_adds_the_loss_of_its_attention_and_trains_its_projection():
    options = dict(category_loss=dict(type='CategoryConsistentLoss'), dropout_ratio=0)
    ours, plain = head(**options), head(dropout_ratio=0)
    plain.load_state_dict(ours.state_dict(), strict=False)
    arguments = batch()
    losses, expected = (each.loss(*arguments) for each in (ours, plain))
    added = {'category.loss_var', 'category.loss_dis', 'category.loss_reg'}
    assert set(losses) == set(expected) | added
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value)
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert ours.category_project.weight.shape == (16, 16, 1, 1)
    for key, parameter in ours.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


def test_what_replaces_the_forward_of_ccnet_computes_its_losses():
    """As compilation and activation checkpointing do; dropout draws what it would draw."""
    ours, arguments = head(category_loss=dict(type='CategoryConsistentLoss')), batch()
    kept = []

    def losses() -> dict[str, torch.Tensor]:
        torch.manual_seed(1)
        kept.append(0)
        with saved_tensors_hooks(keep, lambda x: x):
            return ours.loss(*arguments)

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept[-1] += x.nbytes
        return x

    expected = losses()
    ours.forward = partial(checkpoint, ours.forward, use_reentrant=False)
    torch.testing.assert_close(losses(), expected, rtol=0, atol=0)
    assert kept[1] < kept[0] / 2
