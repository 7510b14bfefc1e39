"""Every mechanism takes `device` and `dtype` as the modules of torch do."""

import inspect
import pickle

import pytest
import torch

from mmattn.attention import CBAM, SE
from tests.attention.test_contract import MODULES

PLACED = {name: row for name, row in MODULES.items() if '__init__' in vars(row.mechanism)}


@pytest.mark.parametrize('name', PLACED)
def test_a_mechanism_is_made_on_a_device_in_a_dtype(name):
    plain = PLACED[name].build().state_dict()
    module = PLACED[name].build(device='meta', dtype=torch.float64)
    state = module.state_dict()
    assert list(state) == list(plain)
    for key, value in state.items():
        assert value.device.type == 'meta' and value.shape == plain[key].shape
        assert value.dtype == (torch.float64 if plain[key].is_floating_point() else torch.int64)


@pytest.mark.parametrize('name', PLACED)
def test_a_mechanism_made_without_memory_is_whole_when_its_weights_are_loaded(name):
    torch.manual_seed(0)
    module = PLACED[name].build().eval()
    placed = [PLACED[name].build(device='meta').eval() for _ in range(2)]
    placed[0] = placed[0].to_empty(device='cpu')
    for each, assign in zip(placed, (False, True), strict=True):
        each.load_state_dict(module.state_dict(), assign=assign)
        for (key, value), again in zip(module.named_buffers(), each.buffers(), strict=True):
            assert torch.equal(value, again), key
    copy = pickle.loads(pickle.dumps(placed[0]))
    copy.load_state_dict(module.state_dict())


def test_none_changes_nothing():
    states = []
    for options in ({}, dict(device=None, dtype=None), dict(device='cpu', dtype=torch.float64)):
        torch.manual_seed(0)
        states.append(CBAM(16, **options).state_dict())
    plain, none, double = states
    assert all(torch.equal(plain[key], none[key]) for key in plain)
    assert all(torch.equal(plain[key].to(double[key].dtype), double[key]) for key in plain)
    y = CBAM(16, dtype=torch.float64)(torch.randn(2, 16, 5, 5, dtype=torch.float64))
    assert y.dtype == torch.float64


def test_memory_is_left_uninitialised_as_torch_does_it():
    module = torch.nn.utils.skip_init(SE, 64, reduction=8)
    assert {value.device.type for value in module.parameters()} == {'cpu'}
    assert list(inspect.signature(SE).parameters)[-2:] == ['device', 'dtype']


def test_a_misspelt_argument_is_still_an_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'reductoin'"):
        CBAM(16, reductoin=4)
    with pytest.raises(TypeError, match='positional argument'):
        SE(16, 4, False, 'cpu', torch.float16, 0, 0, 0, 0)
