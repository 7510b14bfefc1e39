"""AttnResNet beside mmseg's ResNet, and each place that attention can take in it."""

import re

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import Tensor, nn

import mmattn.models  # noqa: F401, registers what is built here
from mmattn.attention import AFF, IAFF, SKConv
from mmattn.errors import UserError

D8 = dict(
    strides=(1, 2, 1, 1),
    dilations=(1, 1, 2, 4),
    contract_dilation=True,
    base_channels=8,
    stem_channels=8,
    norm_cfg=dict(type='BN'),
)
POSITIONS = {
    18: ['before_conv1', 'after_conv1', 'after_conv2', 'shortcut', 'after_add', 'after_relu'],
    50: [
        *('before_conv1', 'after_conv1', 'after_conv2', 'after_conv3'),
        *('shortcut', 'after_add', 'after_relu'),
    ],
}
SE = dict(type='SE', reduction=4)
CBAM = dict(type='CBAM', reduction=2)
IDENTITIES = [
    dict(type='ChannelAttention'),
    dict(type='CIAU'),
    dict(type='CrissCross'),
    dict(type='GlobalContext'),
    dict(type='NonLocal'),
    dict(type='NonLocal', norm_cfg=None),
    dict(type='PositionAttention'),
    dict(type='SIAU'),
]


def build(kind: str = 'AttnResNet', depth: int = 18, **options) -> nn.Module:
    return MODELS.build(ConfigDict(type=kind, depth=depth, **D8 | options))


def one_stage(depth: int, **options) -> nn.Module:
    single = dict(num_stages=1, strides=(2,), dilations=(1,), out_indices=(0,))
    return randomise(build(depth=depth, **single | options))


def randomise(module: nn.Module) -> nn.Module:
    """Random parameters (no scale left at 0) and statistics, in evaluation mode."""
    torch.manual_seed(0)
    with torch.no_grad():
        for key, value in module.state_dict().items():
            if value.dim() > 1:
                value.normal_(std=value[0].numel() ** -0.5)
            elif value.is_floating_point():
                low = 0.5 if key.endswith('running_var') else 0.1
                value.uniform_(low, low + 0.4)
    module.eval()
    return module


def images(size: tuple[int, int] = (37, 45)) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


def training_step(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs of all stages, and the gradients of all parameters."""
    module.train()
    outputs = module(images())
    sum((y * y.detach()).sum() for y in outputs).backward()
    return [y.detach() for y in outputs], [p.grad for p in module.parameters()]


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('kind', ['ResNet', 'ResNetV1c', 'ResNetV1d'])
def test_without_plugins_it_is_the_network_of_mmseg(kind, depth, with_cp):
    theirs = randomise(build(kind, depth))
    ours = build(f'Attn{kind}', depth, with_cp=with_cp)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    ours.eval()
    with torch.no_grad():
        expected, actual = theirs(images()), ours(images())
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(training_step(ours), training_step(theirs), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('depth', [18, 50])
def test_without_plugins_it_starts_as_the_network_of_mmseg(depth):
    states = []
    for kind in ('ResNetV1c', 'AttnResNetV1c'):
        torch.manual_seed(0)
        network = build(kind, depth)
        network.init_weights()
        states.append(network.state_dict())
    torch.testing.assert_close(states[1], states[0], atol=0, rtol=0)


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('cfg', IDENTITIES, ids=str)
def test_published_weights_with_a_mechanism_that_starts_as_the_identity(cfg, depth):
    plain = randomise(build('ResNet', depth))
    plugins = [dict(cfg=dict(cfg, postfix=f'_{p}'), position=p) for p in POSITIONS[depth]]
    network = build(depth=depth, plugins=plugins)
    network.init_weights()
    missing, unexpected = network.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    # What is missing is the plugins', one at each position of a block.
    assert missing and all(re.match(r'layer\d\.\d\.(?!conv|bn|downsample)', key) for key in missing)
    assert len({key.split('.')[2] for key in missing}) == len(POSITIONS[depth])
    network.eval()
    with torch.no_grad():
        expected, actual = plain(images()), network(images())
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-6)


def test_initialisation_is_that_of_the_sources_and_the_last_norms_start_at_zero():
    plugins = [dict(cfg=CBAM, position='after_stage')]
    network = build(conv2=dict(type='SKConv', groups=4), plugins=plugins, base_channels=16)
    network.init_weights()
    block = network.layer4[0]
    assert block.norm2.weight.abs().max() == 0
    assert 0.005 < block.conv2.select.weight.std() < 0.02
    assert network.layer4.cbam.spatial_conv.bn.weight == 0


class SelfInitialised(nn.Module):
    """A module of another package with mmengine's ``init_weights``."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1)

    def init_weights(self) -> None:
        nn.init.constant_(self.conv.weight, 7.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def test_modules_that_initialise_themselves_do_so():
    network = build(plugins=[dict(cfg=dict(type=SelfInitialised), position='after_add')])
    network.init_weights()
    assert torch.equal(
        network.layer1[1].self_initialised.conv.weight, torch.full((8, 8, 1, 1), 7.0)
    )


def test_a_pretrained_checkpoint_brings_the_mechanisms_too(tmp_path):
    options = dict(plugins=[dict(cfg=SE, position='after_conv2')])
    source = randomise(build(**options))
    torch.save(dict(state_dict=source.state_dict()), tmp_path / 'weights.pth')
    network = build(
        **options, init_cfg=dict(type='Pretrained', checkpoint=f'{tmp_path}/weights.pth')
    )
    network.init_weights()
    torch.testing.assert_close(network.state_dict(), source.state_dict(), atol=0, rtol=0)


def test_one_plugin_at_a_position_is_that_of_mmseg():
    plugins = [
        dict(cfg=SE, stages=(False, True, True, False), position='after_conv2'),
        dict(cfg=CBAM, position='after_conv3'),
    ]
    theirs = randomise(build('ResNet', 50, plugins=plugins))
    ours = build(depth=50, plugins=plugins)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    ours.eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(images()), theirs(images()), atol=1e-6, rtol=1e-6)


def by_hand(block: nn.Module, x: Tensor, position: str, *modules: nn.Module) -> Tensor:
    """The block written out, with modules one after the other at one position."""

    def attend(y: Tensor, place: str) -> Tensor:
        for module in modules if place == position else ():
            y = module(y)
        return y

    y = attend(block.bn1(block.conv1(attend(x, 'before_conv1'))).relu(), 'after_conv1')
    y = block.bn2(block.conv2(y))
    if hasattr(block, 'conv3'):
        y = block.bn3(block.conv3(attend(y.relu(), 'after_conv2')))
        y = attend(y, 'after_conv3')
    else:
        y = attend(y, 'after_conv2')
    shortcut = attend(x if block.downsample is None else block.downsample(x), 'shortcut')
    return attend(attend(y + shortcut, 'after_add').relu(), 'after_relu')


@pytest.mark.parametrize(
    ('depth', 'position'), [(depth, p) for depth, places in POSITIONS.items() for p in places]
)
def test_the_second_plugin_sees_the_output_of_the_first(depth, position):
    plugins = [dict(cfg=cfg, position=position) for cfg in (CBAM, SE)]
    projected, identity, *_ = one_stage(depth, plugins=plugins).layer1
    assert projected.downsample is not None and identity.downsample is None
    for block in (projected, identity):
        x = torch.randn(2, block.conv1.in_channels, 9, 11)
        with torch.no_grad():
            actual = block(x)
            torch.testing.assert_close(actual, by_hand(block, x, position, block.cbam, block.se))
            for fewer in ([block.cbam], [block.se], [block.se, block.cbam]):
                assert (actual - by_hand(block, x, position, *fewer)).abs().max() > 1e-3


def test_plugins_of_one_type_have_postfixes():
    plugins = [dict(cfg=dict(SE, postfix=p), position='after_conv1') for p in ('', '_2')]
    block = one_stage(18, plugins=plugins).layer1[0]
    x = torch.randn(2, 8, 9, 11)
    with torch.no_grad():
        expected = by_hand(block, x, 'after_conv1', block.se, block.se_2)
        torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize('depth', [18, 50])
def test_attention_on_the_output_of_a_stage(depth):
    stages = (True, False, True, False)
    plugins = [
        dict(cfg=cfg, stages=stages, position='after_stage')
        for cfg in (dict(type='BAM', reduction=4), SE)
    ]
    network = randomise(build(depth=depth, plugins=plugins))
    layers = [getattr(network, name) for name in network.res_layers]
    assert [hasattr(layer, 'bam') for layer in layers] == list(stages)
    outputs = []
    last = layers[0][network.stage_blocks[0] - 1]
    last.register_forward_hook(lambda module, args, y: outputs.append(y))
    with torch.no_grad():
        actual = network(images())[0]
        torch.testing.assert_close(actual, layers[0].se(layers[0].bam(outputs[0])))


@pytest.mark.parametrize(('depth', 'name', 'fusion'), [(18, 'AFF', AFF), (50, 'IAFF', IAFF)])
def test_fusion_of_shortcut_and_residual(depth, name, fusion):
    cfg = dict(type=name, reduction=2)
    block = one_stage(depth, fusion=cfg, plugins=[dict(cfg=SE, position='after_add')]).layer1[0]
    assert isinstance(block.fusion, fusion)
    x = torch.randn(2, 8, 9, 11)
    residuals = []
    getattr(block, f'bn{block.num_convs}').register_forward_hook(
        lambda module, args, y: residuals.append(y)
    )
    with torch.no_grad():
        actual = block(x)
        expected = block.se(block.fusion(block.downsample(x), residuals[0])).relu()
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize('depth', [18, 50])
def test_selective_kernels_in_place_of_conv2(depth):
    cfg = dict(type='SKConv', groups=4)
    network = build(depth=depth, conv2=cfg, base_channels=16)
    plain = build(depth=depth, base_channels=16)
    assert [y.shape for y in network(images())] == [y.shape for y in plain(images())]
    replaced = {key for key in plain.state_dict() if key.endswith('conv2.weight')}
    if depth == 50:
        replaced |= {key for key in plain.state_dict() if '.bn2.' in key}
    assert set(plain.state_dict()) - set(network.state_dict()) == replaced
    assert network.layer4[1].conv2.branches[0].conv.dilation == plain.layer4[1].conv2.dilation
    assert network.layer2[0].conv2.branches[0].conv.stride == plain.layer2[0].conv2.stride

    block = randomise(network).layer1[0]
    assert isinstance(block.conv2, SKConv)
    x = torch.randn(2, 8, 9, 11)
    with torch.no_grad():
        y = block.conv2(block.bn1(block.conv1(x)).relu())
        y = block.bn2(y) if depth == 18 else block.bn3(block.conv3(y))
        shortcut = x if block.downsample is None else block.downsample(x)
        torch.testing.assert_close(block(x), (shortcut + y).relu())


def test_frozen_stages_freeze_their_attention():
    places = ('after_conv1', 'after_stage')
    network = build(frozen_stages=2, plugins=[dict(cfg=SE, position=place) for place in places])
    network.train()
    for stage, trainable in ((network.layer2, False), (network.layer3, True)):
        for module in (stage.se, stage[0].se):
            assert module.training == trainable
            assert all(p.requires_grad == trainable for p in module.parameters())


def test_checkpointed_blocks_give_the_same_gradients():
    steps = []
    for with_cp in (False, True):
        plugins = [dict(cfg=CBAM, position=place) for place in ('after_conv2', 'after_stage')]
        network = build(plugins=plugins, fusion=dict(type='AFF', reduction=2), with_cp=with_cp)
        steps.append(training_step(randomise(network)))
    torch.testing.assert_close(steps[1], steps[0])


def test_it_builds_in_any_default_scope():
    with DefaultScope.overwrite_default_scope('mmengine'):
        network = MODELS.build(
            dict(type='mmseg.AttnResNet', depth=18, plugins=[dict(cfg=SE, position='after_add')])
        )
    assert hasattr(network.layer1[0], 'se')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(plugins=dict(cfg=SE, position='after_add')), "list of dicts .* got 'cfg'"),
        (dict(plugins=[dict(cfg=SE)]), 'keys cfg and position'),
        (dict(plugins=[dict(cfg=SE, position='after_add', stage=(1,))]), 'keys cfg and position'),
        (
            dict(plugins=[dict(cfg=SE, position='after_conv3')]),
            'are before_conv1, after_conv1, after_conv2, shortcut, after_add, after_relu, '
            "after_stage; got 'after_conv3'",
        ),
        (
            dict(plugins=[dict(cfg=SE, position='after_add', stages=(True, False))]),
            r'each of the 4 stages, got \(True, False\)',
        ),
        (dict(plugins=[dict(cfg=SE, position='after_add')] * 2), "two modules 'se'.* postfix"),
        (
            dict(plugins=[dict(cfg=dict(type='CBMA'), position='after_add')]),
            "plugins: type must be one of .*CBAM, .* registered .* got 'CBMA'",
        ),
        (dict(plugins=[dict(cfg=dict(reduction=4), position='after_add')]), 'got None'),
        (dict(plugins=[dict(cfg=dict(type='AFF'), position='after_add')]), "got 'AFF'"),
        (
            dict(plugins=[dict(cfg=dict(type='SE', ratio=4), position='after_add')]),
            "plugins: SE: .*unexpected keyword argument 'ratio'",
        ),
        (
            dict(plugins=[dict(cfg=dict(type='SE', reduction=16), position='after_conv1')]),
            'plugins: SE: reduction must be between 1 and in_channels=8, got 16',
        ),
        (dict(fusion=SE), "fusion: type must be one of AFF, IAFF, or .* got 'SE'"),
        (dict(conv2=SE), "conv2: type must be one of SKConv, or .* got 'SE'"),
    ],
)
def test_wrong_arguments_are_named(options, words):
    with pytest.raises(UserError, match=words):
        build(**options)


GROUPED = dict(
    groups=4,
    base_width=16,
    num_stages=2,
    strides=(1, 2),
    dilations=(1, 1),
    out_indices=(0, 1),
)


def test_resnext_without_plugins_is_that_of_mmseg():
    theirs = randomise(build('ResNeXt', 50, **GROUPED))
    ours = build('AttnResNeXt', 50, **GROUPED)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    torch.testing.assert_close(training_step(ours), training_step(theirs), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('position', POSITIONS[50])
def test_resnext_gives_plugins_the_width_of_their_place(position):
    plugins = [dict(cfg=SE, position=position)]
    network = build('AttnResNeXt', 50, plugins=plugins, fusion=dict(type='AFF'), **GROUPED)
    block = network.layer2[0]
    width, out_channels = 2 * 4 * 16, 4 * 2 * 8  # of the groups, and of the block as a ResNet's
    widths = {'before_conv1': out_channels // 2, 'after_conv1': width, 'after_conv2': width}
    assert block.se.excite[0].in_channels == widths.get(position, out_channels)
    assert block.fusion.attention.local_branch[0].conv.in_channels == out_channels
    training_step(network)
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
