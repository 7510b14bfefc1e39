"""The attention of whole models and heads, asked after they ran."""

import pytest
import torch
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from torch import nn

from mmattn.attention import APNB, SE, CrissCross, InterlacedSparse, PositionAttention
from mmattn.attention.attending import Attention
from mmattn.attention.weighing import Gate, Weigh, compute
from mmattn.errors import UserError
from mmattn.models.mechanisms import MECHANISMS
from mmattn.visualization import capture_attention
from tests.models.test_heads import RESNET, arguments, build

register_all_modules(init_default_scope=True)

LAYERS = {
    'DANetHead': ['pam', 'cam'],
    'CCNetHead': ['cca'],
    'ANLHead': ['fusion', 'context'],
    'GCNetHead': ['gc_block'],
    'OCRNetHead': ['OCRNetHead'],
    'FLAHead': ['attention'],
}


def ask(head: nn.Module, *args):
    with capture_attention(head) as captured, torch.no_grad():
        output = head(*args)
    return captured, output


@pytest.mark.parametrize('name', LAYERS)
def test_every_head_can_be_asked_and_its_weights_times_values_are_what_the_layers_gave(name):
    head = build(name)
    outputs = {}
    for key, module in head.named_modules():
        module.register_forward_hook(lambda m, i, out, key=key: outputs.update({key: out}))
    captured, output = ask(head, *arguments(name))
    assert captured.layers == LAYERS[name] and captured.size == (9, 13)
    for key, layer in captured.items():
        expected = outputs.get(key, output)
        with torch.no_grad():
            actual = layer.module.forward(*layer._inputs, weigh=lambda step: step.explicit())
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
        for step in layer.weighings.values():
            torch.testing.assert_close(step.explicit(), step.compute(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', ['DANetHead', 'CCNetHead', 'ANLHead', 'OCRNetHead'])
def test_what_a_pixel_reaches_in_a_head_sums_to_1(name):
    captured, _ = ask(build(name), *arguments(name))
    for layer in captured.values():
        if layer.pixel_steps:
            reached = layer.attention(x=12, y=4)
            assert reached.shape == (2, 1, 9, 13)
            torch.testing.assert_close(reached.sum(dim=(2, 3)), torch.ones(2, 1))


def test_inputs_may_be_given_by_name():
    class Scaled(SE):
        def forward(self, x, *, scale, weigh=compute):
            return super().forward(x * scale['by'], weigh=weigh)

    module, x = Scaled(8).eval(), torch.randn(2, 8, 5, 6)
    with capture_attention(module) as captured, torch.no_grad():
        output = module(scale=dict(by=x.new_tensor(3)), weigh=compute, x=x)
    (layer,) = captured.values()
    (gate,) = layer.weighings.values()
    assert captured.size == (5, 6)
    torch.testing.assert_close(gate.compute(), output)


def test_a_step_is_asked_by_name():
    captured, _ = ask(build('CCNetHead'), *arguments('CCNetHead'))
    once = captured['cca'].attention(x=3, y=5, step='cross 2')[0, 0]
    assert torch.count_nonzero(once) == 9 + 13 - 1 and (once[5] > 0).all()
    captured, _ = ask(build('OCRNetHead'), *arguments('OCRNetHead'))
    layer = captured['OCRNetHead']
    weights = layer.attention(x=3, y=5, step='objects')
    assert weights.shape == (2, 1, 5)
    # What the pixel reaches are the regions, each by its weight.
    reached = torch.einsum('bnk,bkhw->bnhw', weights, layer.maps('regions'))
    torch.testing.assert_close(layer.attention(x=3, y=5), reached)


def test_channel_attention_is_asked_at_a_pixel():
    for name, layer, steps in (
        ('DANetHead', 'cam', ['channels']),
        ('FLAHead', 'attention', ['columns', 'rows']),
    ):
        captured, _ = ask(build(name), *arguments(name))
        assert captured[layer].channel_steps == steps
        for step in steps:
            weights, values, sums = captured[layer].channels(3, 5, step)
            torch.testing.assert_close(weights.sum(2), torch.ones(2, 16))
            torch.testing.assert_close((weights @ values[..., None])[..., 0], sums)


def test_the_context_map_of_gcnet():
    captured, _ = ask(build('GCNetHead'), *arguments('GCNetHead'))
    context = captured['gc_block'].maps('context')
    assert context.shape == (2, 1, 9, 13)
    torch.testing.assert_close(context.sum(dim=(2, 3)), torch.ones(2, 1))


@pytest.mark.parametrize(
    'name', [name for name, mechanism in MECHANISMS.items() if mechanism.kind == 'map']
)
def test_plugins_in_blocks_are_named_and_read_as_they_ran(name):
    options = {'num_frames': 1} if name in ('CIAU', 'SIAU') else {}
    plugin = dict(cfg=dict(type=name, **options), position='after_stage', stages=(0, 0, 0, 1))
    torch.manual_seed(0)
    cfg = dict(RESNET, type='AttnResNetV1c', depth=18, plugins=[plugin])
    model = MODELS.build(cfg)
    model.eval()
    with capture_attention(model) as captured, torch.no_grad():
        model(torch.randn(1, 3, 64, 96))
    (layer,) = captured.layers
    assert layer == f'layer4.{MECHANISMS[name].abbreviation}' and captured.size == (64, 96)
    assert captured[layer].weighings
    for step in captured[layer].pixel_steps:
        assert captured[layer].attention(95, 63, step).isfinite().all()


@pytest.mark.parametrize(
    ('role', 'name'), [('fusion', 'AFF'), ('fusion', 'IAFF'), ('conv2', 'SKConv')]
)
def test_selections_in_blocks(role, name):
    torch.manual_seed(0)
    cfg = dict(RESNET, type='AttnResNetV1c', depth=18, **{role: dict(type=name)})
    model = MODELS.build(cfg)
    model.eval()
    with capture_attention(model) as captured, torch.no_grad():
        model(torch.randn(1, 3, 64, 96))
    assert len(captured) == 8 and all(key.endswith(f'.{role}') for key in captured)
    for layer in captured.values():
        for step in layer.weighings.values():
            torch.testing.assert_close(sum(step.weights), torch.ones_like(step.weights[0]))


class MeanGate(nn.Module):
    """A mechanism of a user, as in docs/add_attention.md."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor, weigh: Weigh = compute) -> torch.Tensor:
        gate = torch.sigmoid(self.project(x.mean(dim=(2, 3), keepdim=True)))
        return weigh(Gate('channels', gate, x))


def test_a_mechanism_of_a_user_joins_by_its_forward():
    x = torch.randn(1, 4, 5, 6)
    captured, output = ask(nn.Sequential(MeanGate()), x)
    gate = captured['0']['channels']
    assert gate.weights.shape == (1, 4, 1, 1)
    torch.testing.assert_close(gate.weights * gate.values, output)


def test_inputs_that_change_afterwards_are_kept_as_they_were():
    model = nn.Sequential(SE(4, reduction=2), nn.ReLU(inplace=True))
    x = torch.randn(1, 4, 5, 6)
    before = x.clone()
    captured, _ = ask(model, x)
    x.zero_()
    torch.testing.assert_close(captured['0']['channels'].values, before)


def test_a_model_in_training_keeps_its_mode_and_statistics():
    model = nn.Sequential(CrissCross(8), nn.BatchNorm2d(8)).train()
    captured, _ = ask(model, torch.randn(2, 8, 5, 6))
    captured['0'].attention(1, 1)
    assert model[0].training and model[0].query_conv.training


def test_under_autocast_the_layers_are_asked_as_they_ran():
    model = nn.Sequential(nn.Conv2d(8, 8, 1), PositionAttention(8))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        captured, _ = ask(model, torch.randn(2, 8, 5, 6))
    (step,) = captured['1'].weighings.values()
    assert isinstance(step, Attention) and step.query.dtype == torch.bfloat16
    total = captured['1'].attention(1, 1).float().sum(dim=(2, 3))
    torch.testing.assert_close(total, torch.ones(2, 1), atol=0.02, rtol=0)


def test_hooks_are_gone_after_the_block():
    model = nn.Sequential(SE(4, reduction=2))
    captured, _ = ask(model, torch.randn(1, 4, 5, 6))
    model(torch.zeros(1, 4, 5, 6))
    assert captured['0']['channels'].values.abs().max() > 0
    assert not model[0]._forward_pre_hooks and not model._forward_pre_hooks


@pytest.mark.parametrize(
    ('question', 'words'),
    [
        (lambda c: c['decode_head'], r"unknown layer 'decode_head'; known are pam, cam"),
        (lambda c: c['pam']['cross'], r"layer pam weighs no 'cross'; known are: pixels"),
        (lambda c: c['pam'].attention(13, 0), r'point 13,0 is outside of the 13 x 9 pixels'),
        (lambda c: c['pam'].attention(0, -1), r'x must be 0 to 12, y 0 to 8'),
        (lambda c: c['cam'].attention(0, 0), r'in layer cam \(ChannelAttention\) no pixel attends'),
        (lambda c: c['pam'].channels(0, 0, 'pixels'), 'no attention between channels'),
    ],
)
def test_wrong_questions_are_answered_with_what_is_known(question, words):
    captured, _ = ask(build('DANetHead'), *arguments('DANetHead'))
    with pytest.raises(UserError, match=words):
        question(captured)


def test_a_layer_that_did_not_run_is_told():
    with capture_attention(build('DANetHead')) as captured:
        pass
    assert len(captured) == 0
    with pytest.raises(UserError, match='layer pam has not run'):
        captured['pam']


def test_a_model_without_attention_is_refused():
    block = capture_attention(nn.Sequential(nn.Conv2d(1, 1, 1)))
    with pytest.raises(UserError, match='no module of Sequential can be asked'), block:
        pass


@pytest.mark.parametrize('mechanism', [APNB, CrissCross, InterlacedSparse])
def test_a_model_that_ran_in_inference_mode_can_be_asked(mechanism):
    model = nn.Sequential(mechanism(16)).eval()
    with capture_attention(model) as captured, torch.inference_mode():
        model(torch.randn(1, 16, 8, 8))
    reached = captured['0'].attention(3, 4)
    torch.testing.assert_close(reached.sum(dim=(2, 3)), torch.ones(1, 1))
