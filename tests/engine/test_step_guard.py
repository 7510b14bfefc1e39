"""Steps that are not finite leave no trace; all others are as without the guard."""

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from torch import nn

from mmattn.engine.cpu import AutocastOptimWrapper
from mmattn.engine.step_guard import StepGuard, gradient_norm


@pytest.fixture(autouse=True)
def hub():
    return MessageHub.get_instance('step guard')


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))


@pytest.fixture(params=[OptimWrapper, AutocastOptimWrapper, AmpOptimWrapper])
def wrap(request, monkeypatch):
    """Wraps an optimizer of a model; mmengine's mixed precision with a gradient scaler too."""
    monkeypatch.setattr('mmattn.engine.cpu.get_device', lambda: 'cpu')
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)

    def wrap(model, **settings):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        wrapper = request.param(optimizer=optimizer, **settings)
        if request.param is AmpOptimWrapper:
            # The one for GPUs does nothing without one.
            wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=4.0, growth_interval=100)
        return wrapper

    return wrap


def images(bad: bool = False) -> torch.Tensor:
    x = torch.randn(2, 3, 8, 8)
    x[1, 0, 4, 4] = torch.nan if bad else 0
    return x


def step(model, wrapper, bad: bool = False, loss=lambda output: output.float().square().mean()):
    with wrapper.optim_context(model):
        output = model(images(bad))
    wrapper.update_params(loss(output))


def state(model, wrapper) -> list[torch.Tensor]:
    """Weights, running statistics and the optimizer's state."""
    entries = list(model.state_dict().values())
    slots = wrapper.optimizer.state_dict()['state'].values()
    return copy.deepcopy(entries + [x for slot in slots for x in slot.values()])


def equal(first, second) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize('counts', [1, 3])
@pytest.mark.parametrize('clip', [None, dict(max_norm=1.0)])
def test_a_batch_with_nan_changes_nothing(model, wrap, counts, clip):
    wrapper = wrap(model, accumulative_counts=counts, clip_grad=clip)
    guard = StepGuard(wrapper, model)
    for _ in range(counts):
        step(model, wrapper)
    before = state(model, wrapper)
    for number in range(counts):
        step(model, wrapper, bad=number == 0)
    assert equal(state(model, wrapper), before)
    assert guard.skipped_in_a_row == 1
    for _ in range(counts):
        step(model, wrapper)
    assert guard.skipped_in_a_row == 0
    assert not equal(state(model, wrapper), before)
    assert all(entry.isfinite().all() for entry in state(model, wrapper))


@pytest.mark.parametrize(
    'loss',
    [
        pytest.param(lambda x: x.float().mean() + torch.inf, id='loss alone'),
        pytest.param(lambda x: (x.float() * 0).sum().sqrt(), id='gradients alone'),
    ],
)
def test_either_loss_or_gradients_are_enough(model, wrap, loss):
    wrapper = wrap(model)
    guard = StepGuard(wrapper, model)
    before = state(model, wrapper)
    step(model, wrapper, loss=loss)
    # A gradient scaler may overflow with a finite loss, and goes down for it.
    if not isinstance(wrapper, AmpOptimWrapper) or not loss(torch.ones(1)).isfinite():
        assert guard.skipped_in_a_row == 1
    assert equal(state(model, wrapper)[:7], before[:7])


@pytest.mark.parametrize('wrap', [AmpOptimWrapper], indirect=True)
def test_a_gradient_scaler_that_finds_no_scale_counts(model, wrap):
    wrapper = wrap(model)
    guard = StepGuard(wrapper, model)
    counts = []
    for _ in range(4):  # scales 4, 2, 1, 1/2 before, and half of that after
        step(model, wrapper, loss=lambda x: (x.float() * 0).sum().sqrt())
        counts.append(guard.skipped_in_a_row)
    assert counts == [0, 1, 2, 3]


@pytest.mark.parametrize('counts', [1, 2])
def test_finite_steps_are_those_without_the_guard(model, wrap, counts):
    results = []
    for guarded in (False, True):
        twin = copy.deepcopy(model)
        wrapper = wrap(twin, accumulative_counts=counts)
        guard = StepGuard(wrapper, twin) if guarded else None
        torch.manual_seed(1)
        for _ in range(4):
            step(twin, wrapper)
        results.append(state(twin, wrapper))
    assert equal(*results)
    guard.remove()
    assert 'update_params' not in vars(wrapper)


def test_the_norm_of_the_gradients_is_logged(model, wrap, hub):
    wrapper = wrap(model)
    StepGuard(wrapper, model)
    norms = []
    wrapper.optimizer.register_step_pre_hook(
        lambda *_: norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm())
    )
    step(model, wrapper)
    torch.testing.assert_close(hub.get_scalar('train/grad_norm').current(), float(norms[0]))


def test_the_norm_of_several_kinds_of_gradients():
    parts = [torch.full((3,), 2.0), torch.full((4,), 1.0, dtype=torch.bfloat16), torch.zeros(0)]
    assert gradient_norm(parts) == 4
    assert gradient_norm([]) == 0
    assert not gradient_norm([torch.ones(2), torch.tensor([1.0, torch.inf])]).isfinite()
