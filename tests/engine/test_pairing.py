"""Two models of a seed start equal in what they have in common."""

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from mmattn.engine.pairing import Draws
from mmattn.engine.runner import Runner, separate_run
from mmattn.models import AttnResNetV1c
from mmattn.preflight.config import CONFIGS, load_config

(FILE,) = CONFIGS.glob('danet/danet_r18-d8_*_toy-128x256.py')
PLUGINS = [
    dict(cfg=dict(type='CBAM'), position='after_conv1', stages=(False, True, False, False)),
    dict(cfg=dict(type='NonLocal'), position='after_stage', stages=(False, True, True, False)),
]


@pytest.fixture(scope='module')
def initial_weights(tmp_path_factory):
    """The weights that `mmattn train` begins with."""
    folder = tmp_path_factory.mktemp('runs')

    @cache
    def build(plugged: bool = False, seed: int = 0, paired: bool = True) -> dict[str, Tensor]:
        options = {
            'model.backbone': dict(type='AttnResNetV1c', base_channels=8, stem_channels=8),
            'model.backbone.plugins': PLUGINS if plugged else None,
            'model.decode_head': dict(in_channels=64, channels=16),
            'model.auxiliary_head': dict(in_channels=32, channels=8),
        }
        randomness = dict(seed=seed, **(dict(paired=True) if paired else {}))
        with separate_run():
            cfg = load_config(FILE, options)
            runner = Runner(cfg.model, str(folder), randomness=randomness, default_scope='mmseg')
            runner._init_model_weights()
        return runner.model.state_dict()

    return build


def spread(weights: Tensor) -> float:
    return weights.float().std(correction=0).item()


def test_plugins_in_the_middle_change_no_other_weight(initial_weights):
    bare, plugged = (initial_weights(plugged) for plugged in (False, True))
    assert len(plugged) > len(bare)
    assert all(torch.equal(value, plugged[name]) for name, value in bare.items())
    drawn = [name for name, value in bare.items() if spread(value)]
    assert 'backbone.layer4.1.conv2.weight' in drawn
    assert 'decode_head.conv_seg.weight' in drawn


def test_without_pairing_they_do(initial_weights):
    """As the weights of `mmattn train` alone have always been."""
    bare, plugged = (initial_weights(plugged, paired=False) for plugged in (False, True))
    assert not torch.equal(*(w['backbone.layer4.1.conv2.weight'] for w in (bare, plugged)))


def test_another_seed_gives_other_weights(initial_weights):
    first, second = (initial_weights(seed=seed) for seed in (0, 1))
    for name in ('backbone.layer1.0.conv1.weight', 'decode_head.conv_seg.weight'):
        assert not torch.equal(first[name], second[name])
        assert spread(first[name]) == pytest.approx(spread(second[name]), rel=0.2)


def test_every_layer_keeps_its_distribution(initial_weights):
    """Constants stay, and what is drawn has the spread that it has without pairing."""
    paired, plain = (initial_weights(paired=paired) for paired in (True, False))
    assert paired.keys() == plain.keys()
    for name, value in plain.items():
        if not spread(value):
            assert torch.equal(value, paired[name]), name
        elif value.numel() > 500:
            assert spread(value) == pytest.approx(spread(paired[name]), rel=0.2), name


def test_layers_of_one_shape_are_drawn_apart():
    with Draws() as draws:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    draws.repeat(model, 0)
    assert not torch.equal(model[0].weight, model[1].weight)


def test_what_follows_a_draw_is_repeated():
    with Draws() as draws, torch.no_grad():
        model = nn.Linear(1000, 3)
        model.weight.normal_().mul_(0.1).add_(5).clamp_(4.9, 5.1)
        nn.init.zeros_(model.bias)
    before = model.weight.clone()
    draws.repeat(model, 0)
    assert not torch.equal(model.weight, before)
    assert 4.9 <= model.weight.min() <= model.weight.max() <= 5.1
    assert not model.bias.any()


def test_loaded_weights_stay():
    loaded = nn.Linear(3, 3).state_dict()
    with Draws() as draws:
        model = nn.Linear(3, 3)
        model.load_state_dict(loaded)
    draws.repeat(model, 0)
    assert torch.equal(model.weight, loaded['weight'])


def test_what_is_computed_from_earlier_values_is_written_once():
    weights = torch.ones(2, 3)
    model = nn.Module()
    model.register_buffer('weights', weights)
    with Draws() as draws:
        weights.mul_(0.5)
        weights[0].add_(1)
    draws.repeat(model, 0)
    assert weights.tolist() == [[1.5] * 3, [0.5] * 3]


def test_a_layer_rescaled_after_it_was_built_is_rescaled_once():
    """As by an `init_weights` that shrinks what the build has drawn."""
    model = nn.Linear(4, 4)
    before = model.weight.clone()
    with Draws() as draws, torch.no_grad():
        model.weight.mul_(0.1)
    draws.repeat(model, 0)
    assert torch.equal(model.weight, before * 0.1)


@pytest.mark.parametrize('shape', [(3, 5), (5, 3)])
def test_orthogonal_weights_stay(shape):
    model = nn.Linear(*shape, bias=False)
    with Draws() as draws:
        nn.init.orthogonal_(model.weight, gain=2)
    before = model.weight.clone()
    draws.repeat(model, 0)
    assert torch.equal(model.weight, before)


def test_numbers_that_something_else_is_computed_from_are_those_of_the_block():
    model = nn.Linear(3, 2, bias=False)
    with Draws() as draws, torch.no_grad():
        drawn = torch.empty(3)
        for row in model.weight:
            row.copy_(drawn.normal_().mul_(2))
    before = model.weight.clone()
    draws.repeat(model, 0)
    assert torch.equal(model.weight, before)


def test_what_is_overwritten_is_not_copied():
    with Draws() as draws:
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    assert not any(copied for _, copied in draws._before.values())


def test_a_mechanism_starts_the_same_whatever_stands_before_it():
    """Blocks build theirs again when they are initialised, and copy the weights."""
    se = dict(cfg=dict(type='SE'), position='after_conv2', stages=(False, False, False, True))
    states = []
    for plugins in ([se], [*PLUGINS, se]):
        with Draws() as draws:
            backbone = AttnResNetV1c(depth=18, base_channels=8, stem_channels=8, plugins=plugins)
            backbone.init_weights()
        draws.repeat(backbone, seed=0)
        states.append(backbone.state_dict())
    alone, after = states
    assert len(after) > len(alone)
    assert all(torch.equal(value, after[name]) for name, value in alone.items())
    drawn = 'layer4.{}.se.excite.0.weight'
    assert spread(alone[drawn.format(0)])
    assert not torch.equal(*(alone[drawn.format(block)] for block in (0, 1)))
