"""bfloat16 forward passes, float32 weights, and mmengine's accumulation and clipping."""

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

import mmattn.engine  # noqa: F401  registers the wrapper


@pytest.fixture
def model() -> nn.Module:
    return nn.Conv2d(3, 2, 3)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    """A CPU that has bfloat16, also where there is a GPU or an older CPU."""
    monkeypatch.setattr('mmattn.engine.cpu.get_device', lambda: 'cpu')
    monkeypatch.setattr('mmattn.engine.cpu.cpu_has_bfloat16', lambda: True)


def wrap(model: nn.Module, **settings):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return OPTIM_WRAPPERS.build(dict(type='AutocastOptimWrapper', optimizer=optimizer, **settings))


def test_the_forward_pass_is_bfloat16_and_the_weights_stay_float32(model, images):
    wrapper = wrap(model)
    with wrapper.optim_context(model):
        output = model(images)
    assert output.dtype == torch.bfloat16
    assert model(images).dtype == torch.float32  # only inside
    wrapper.update_params(output.float().square().mean())
    assert model.weight.dtype == torch.float32


def test_a_cpu_that_emulates_bfloat16_trains_in_float32_and_says_so(
    model, images, monkeypatch, caplog
):
    monkeypatch.setattr('mmattn.engine.cpu.cpu_has_bfloat16', lambda: False)
    MMLogger.get_instance('emulates').addHandler(caplog.handler)
    with wrap(model).optim_context(model):
        output = model(images)
    assert output.dtype == torch.float32
    assert 'mixed precision is left out' in caplog.text


def test_the_step_is_the_float32_step_but_for_rounding(model, images):
    start = {key: value.clone() for key, value in model.state_dict().items()}
    steps = []
    for context in (True, False):
        model.load_state_dict(start)
        wrapper = wrap(model)
        if context:
            with wrapper.optim_context(model):
                loss = model(images).square().mean()
        else:
            loss = model(images).square().mean()
        wrapper.update_params(loss)
        steps.append(model.weight.detach() - start['weight'])
    assert not torch.equal(*steps)
    torch.testing.assert_close(*steps, rtol=0.05, atol=0.02)


def test_gradients_accumulate(model, images):
    wrapper = wrap(model, accumulative_counts=2)
    before = model.weight.detach().clone()
    for changed in (False, True):
        with wrapper.optim_context(model):
            loss = model(images).mean()
        wrapper.update_params(loss)
        assert torch.equal(model.weight, before) is not changed


def test_gradients_are_clipped(model, images):
    MessageHub.get_instance('clipping')
    wrapper = wrap(model, clip_grad=dict(max_norm=1e-3))
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    with wrapper.optim_context(model):
        loss = model(images).mean() * 100
    wrapper.update_params(loss)
    step = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    assert step.norm() == pytest.approx(1e-3, rel=1e-3)
