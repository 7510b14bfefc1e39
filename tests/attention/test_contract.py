"""What every attention module promises, each promise tested on all of them."""

import inspect
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import mmattn.attention
from mmattn.attention import (
    AFF,
    AFNB,
    APNB,
    BAM,
    CBAM,
    CIAU,
    CSE,
    ECA,
    FCA,
    GAM,
    IAFF,
    MSCAM,
    RGA,
    SCSE,
    SE,
    SGE,
    SIAU,
    SPA,
    SSE,
    AsymmetricNonLocal,
    ChannelAttention,
    CoordinateAttention,
    CrissCross,
    DoubleAttention,
    FullyAttentional,
    GatherExcite,
    GlobalContext,
    GSoP,
    InterlacedSparse,
    MultiHeadSelfAttention,
    NonLocal,
    ObjectAttention,
    ObjectContext,
    PolarizedSelfAttention,
    PositionAttention,
    ResidualAttention,
    ShuffleAttention,
    SKConv,
    SpatialGather,
)


class Row(NamedTuple):
    """A constructor call, and what the tests must know of the module.

    Attributes:
        mechanism: The class.
        build: The call.
        maps: Channels of the maps that forward takes; 'regions' stands for a map of 5 regions.
        out_channels, out_size: Of the output; by default the size of the maps.
        smallest: The smallest map that the module takes.
        level: Mean of features whose sums leave the range of fp16, while the output does not.
        identity: Whether the module starts as the identity.
    """

    mechanism: type[nn.Module]
    build: Callable[[], nn.Module]
    maps: tuple = (16,)
    out_channels: int = 16
    out_size: tuple[int, int] | None = None
    smallest: tuple[int, int] = (1, 1)
    level: float = 40
    identity: bool = False


def row(mechanism: type[nn.Module], *args, **kwargs) -> tuple[str, Row]:
    """The text of a constructor call, and its row; fields of `Row` are no arguments of the call."""
    facts = {key: kwargs.pop(key) for key in Row._fields if key in kwargs}
    words = [repr(value) for value in args] + [f'{key}={value!r}' for key, value in kwargs.items()]
    name = f'{mechanism.__name__}({", ".join(words)})'
    return name, Row(mechanism, partial(mechanism, *args, **kwargs), **facts)


MODULES = dict(
    [
        row(AFF, 16, maps=(16, 16)),
        row(AFF, 16, gain=2.0, maps=(16, 16)),
        row(AFF, 16, contexts=('global', 'global'), maps=(16, 16)),
        row(AFF, 16, contexts=('local', 'local'), maps=(16, 16)),
        row(AFNB, 8, 16, 4, 12, maps=(8, 16), out_channels=12),
        row(
            AFNB, 8, 16, 4, 12, query_scales=(1, 2), maps=(8, 16), out_channels=12, smallest=(2, 2)
        ),
        row(APNB, 16),
        row(APNB, 16, 4, 12, query_scales=(2,), out_channels=12, smallest=(2, 2)),
        row(AsymmetricNonLocal, 8, 16, 4, 16, maps=(8, 16)),
        row(BAM, 16, reduction=4),
        row(BAM, 16, reduction=4, fusion='product'),
        row(CBAM, 16, reduction=4),
        row(CBAM, 16, reduction=4, norm_cfg=None),
        row(CBAM, 16, reduction=4, order='spatial_first', pooling='avg'),
        row(CBAM, 16, reduction=4, order='parallel', pooling='max'),
        row(CBAM, 16, reduction=4, order='channel'),
        row(CBAM, 16, order='spatial'),
        row(CIAU, 16, identity=True),
        row(CSE, 16),
        row(ChannelAttention, 16, identity=True),
        row(ChannelAttention, 16, negate_energy=False, identity=True),
        row(CoordinateAttention, 16),
        row(CrissCross, 16, identity=True),
        row(CrissCross, 16, recurrence=2, identity=True),
        row(DoubleAttention, 16),
        row(DoubleAttention, 16, distribution='positions'),
        row(ECA, 16),
        row(FCA, 16, reduction=4),
        row(FCA, 16, size=14, reduction=4, frequencies='low8'),
        row(FullyAttentional, 16),
        row(GAM, 16),
        row(GAM, 16, channel_sigmoid=False),
        row(GSoP, 16, channels=8),
        row(GSoP, 16, 'spatial', channels=8, grid=4),
        row(GSoP, 16, 'both', channels=8, stride=2, grid=4),
        row(GatherExcite, 16),
        row(GatherExcite, 16, extent=8),
        row(GatherExcite, 16, 4, 'theta'),
        row(GatherExcite, 16, None, 'theta', size=(5, 6)),
        row(GatherExcite, 16, 2, 'theta_plus', reduction=4),
        row(GlobalContext, 16, identity=True),
        row(GlobalContext, 16, pooling_type='avg', fusion_types=('channel_mul',)),
        row(IAFF, 16, maps=(16, 16)),
        row(InterlacedSparse, 16),
        row(InterlacedSparse, 16, down_factor=(2, 3)),
        row(MSCAM, 16),
        row(MSCAM, 16, contexts=('local', 'local')),
        row(MultiHeadSelfAttention, 16),
        row(MultiHeadSelfAttention, 16, num_heads=2, relative_position=3),
        row(NonLocal, 16, identity=True),
        row(NonLocal, 16, use_scale=True, sub_sample=True, norm_cfg=None, identity=True),
        row(NonLocal, 16, mode='gaussian', identity=True),
        row(NonLocal, 16, mode='dot_product', sub_sample=True, identity=True, level=3),
        row(NonLocal, 16, mode='concatenation', identity=True),
        row(ObjectAttention, 16, 8, maps=(16, 'regions')),
        row(ObjectAttention, 16, 8, scale=2, maps=(16, 'regions'), smallest=(2, 2)),
        row(ObjectContext, 16, num_regions=5),
        row(PolarizedSelfAttention, 16),
        row(PolarizedSelfAttention, 16, mode='sequential'),
        row(PositionAttention, 16, identity=True),
        row(RGA, 16, grid=(4, 5), channel_reduction=2, spatial_reduction=2, gate_reduction=2),
        row(ResidualAttention, 16),
        row(ResidualAttention, 16, depth=1),
        row(SCSE, 16),
        row(SCSE, 16, fusion='max'),
        row(SE, 16, reduction=4),
        row(SE, 16, reduction=4, bias=True),
        row(SGE, 16, groups=4),
        row(SGE, 16, groups=4, normalise=False, initial_bias=0.0, level=3),
        row(SIAU, 16, identity=True),
        row(SKConv, 16, groups=4),
        row(SPA, 16, channels=8),
        row(SSE, 16),
        row(ShuffleAttention, 16, groups=4),
        row(SpatialGather, maps=(16, 5), out_size=(5, 1)),
    ]
)
# These shift all scores of a softmax alike.
CANCELLING = ['key_project.bias', 'key_conv.bias', 'conv_mask.bias']
every_module = pytest.mark.parametrize('name', MODULES)
every_class = pytest.mark.parametrize('mechanism', mmattn.attention.__all__)


def test_every_exported_mechanism_is_tested_here():
    tested = {row.mechanism.__name__ for row in MODULES.values()}
    assert tested == set(mmattn.attention.__all__)


@every_class
def test_docstring_says_paper_cost_arguments_and_shapes(mechanism):
    module = getattr(mmattn.attention, mechanism)
    assert re.search(
        r'https://(arxiv\.org/abs|doi\.org)/\d', sys.modules[module.__module__].__doc__
    )
    assert 'Cost: ' in module.__doc__
    if '__init__' in vars(module):
        for argument in inspect.signature(module).parameters.keys() - {'device', 'dtype'}:
            assert re.search(rf'^ {{8}}([\w, ]+, )?{argument}[\w, ]*: ', module.__doc__, re.M), (
                argument
            )
    assert ' -> ' in module.forward.__doc__


def build(name: str) -> nn.Module:
    """The module with random parameters (no scale left at 0) and statistics, in eval mode."""
    torch.manual_seed(0)
    module = MODULES[name].build()
    with torch.no_grad():
        for key, value in module.state_dict().items():
            if key.endswith('running_var'):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point():
                value.normal_(mean=0.5 if value.dim() < 2 else 0.0, std=0.3)
    return module.eval()


def inputs(
    name: str, batch: int = 2, size: tuple[int, int] = (7, 9), seed: int = 1
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(batch, 16, 5, 1, generator=generator)
        if channels == 'regions'
        else torch.randn(batch, channels, *size, generator=generator)
        for channels in MODULES[name].maps
    ]


@every_module
@pytest.mark.parametrize('size', [(7, 9), (12, 5)])
def test_height_width_and_channels_stay(name, size):
    with torch.no_grad():
        output = build(name)(*inputs(name, size=size))
    assert output.shape == (2, MODULES[name].out_channels, *(MODULES[name].out_size or size))


@every_module
def test_two_training_steps_from_the_same_state_are_equal(name):
    steps = []
    for _ in range(2):
        module = build(name).train()
        batch = [x.requires_grad_() for x in inputs(name)]
        output = module(*batch)
        output.square().sum().backward()
        steps.append([output, *(leaf.grad for leaf in [*batch, *module.parameters()])])
    assert all(torch.equal(first, second) for first, second in zip(*steps, strict=True))


@every_module
def test_images_of_a_batch_do_not_mix(name):
    module, batch = build(name), inputs(name, batch=3)
    with torch.no_grad():
        together = module(*batch)
        alone = torch.cat([module(*(x[i : i + 1] for x in batch)) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@every_module
def test_gradients_are_right(name):
    module = build(name).double()
    leaves = [x.double().requires_grad_() for x in inputs(name, batch=1, size=(3, 4))]
    parameters = [p for p in module.parameters() if p.numel() <= 256]

    def forward(*tensors):
        return module(*tensors[: len(leaves)])

    assert torch.autograd.gradcheck(forward, (*leaves, *parameters), fast_mode=True)


@every_module
def test_every_parameter_and_input_gets_a_gradient(name):
    module = build(name).train()
    batch = [x.requires_grad_() for x in inputs(name)]
    output = module(*batch)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
    (output * weights).sum().backward()
    for key, leaf in [*module.named_parameters(), *enumerate(batch)]:
        assert leaf.grad is not None and leaf.grad.isfinite().all(), key
        if key not in CANCELLING:
            assert leaf.grad.abs().max() > 0, key


@every_module
def test_smallest_map_in_evaluation(name):
    with torch.no_grad():
        output = build(name)(*inputs(name, batch=1, size=MODULES[name].smallest))
    assert output.isfinite().all()


@every_module
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_stays_close_to_float32(name, dtype):
    module, batch = build(name), inputs(name)
    with torch.no_grad():
        expected = module(*batch)
        with torch.autocast('cpu', dtype=dtype):
            actual = module(*batch)
    error = (actual.float() - expected).abs().max() / expected.abs().max()
    assert error < (0.05 if dtype is torch.bfloat16 else 0.01)


@every_module
def test_autocast_leaves_float64_alone(name):
    module, batch = build(name).double(), [x.double() for x in inputs(name)]
    with torch.no_grad():
        expected = module(*batch)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            torch.testing.assert_close(module(*batch), expected)


@every_module
def test_training_on_the_meta_device_gives_shapes(name):
    module = MODULES[name].build().to('meta')
    batch = [x.to('meta').requires_grad_() for x in inputs(name)]
    output = module(*batch)
    assert output.shape == (2, MODULES[name].out_channels, *(MODULES[name].out_size or (7, 9)))
    output.sum().backward()
    assert all(x.grad.shape == x.shape for x in batch)


@every_module
def test_large_features_of_a_large_map_do_not_overflow_fp16(name):
    """Sums of products of such features leave the range of fp16, the outputs do not."""
    module = build(name)
    batch = [x + MODULES[name].level for x in inputs(name, batch=1, size=(48, 64))]
    with torch.no_grad():
        assert module(*batch).abs().max() < torch.finfo(torch.float16).max
        with torch.autocast('cpu', dtype=torch.float16):
            assert module(*batch).isfinite().all()


@every_module
def test_a_model_cast_to_half_precision_runs(name):
    module, batch = build(name).bfloat16(), [x.bfloat16() for x in inputs(name)]
    with torch.no_grad():
        output = module(*batch)
    assert output.dtype == torch.bfloat16 and output.isfinite().all()


@every_module
def test_channels_last_gives_the_same_numbers_in_channels_last(name):
    module, batch = build(name), inputs(name)
    with torch.no_grad():
        expected = module(*batch)
        actual = module.to(memory_format=torch.channels_last)(
            *(x.contiguous(memory_format=torch.channels_last) for x in batch)
        )
    is_a_map = MODULES[name].out_size is None
    assert actual.is_contiguous(memory_format=torch.channels_last) or not is_a_map
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@every_module
def test_compiles_to_one_graph(name):
    module, batch = build(name), inputs(name)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(*batch), module(*batch), atol=1e-5, rtol=1e-5)


@every_module
def test_exports(name):
    module, batch = build(name), inputs(name)
    with torch.no_grad():
        exported = torch.export.export(module, tuple(batch)).module()
        others = inputs(name, seed=5)
        torch.testing.assert_close(exported(*others), module(*others), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@every_module
def test_exports_to_onnx_and_runs_there(name, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    module, path = build(name), tmp_path / 'module.onnx'
    torch.onnx.export(module, tuple(inputs(name)), path, dynamo=True, verbose=False)
    session, others = onnxruntime.InferenceSession(path), inputs(name, seed=5)
    feed = {node.name: x.numpy() for node, x in zip(session.get_inputs(), others, strict=True)}
    with torch.no_grad():
        expected = module(*others)
    actual = torch.from_numpy(session.run(None, feed)[0])
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


@every_module
def test_state_dict_round_trip(name):
    module, batch = build(name), inputs(name)
    other = MODULES[name].build().eval()
    other.load_state_dict(module.state_dict())
    with torch.no_grad():
        assert torch.equal(other(*batch), module(*batch))


@pytest.mark.parametrize('name', [name for name, row in MODULES.items() if row.identity])
def test_starts_as_the_identity(name):
    (x,) = inputs(name)
    with torch.no_grad():
        torch.testing.assert_close(MODULES[name].build()(x), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda: PositionAttention(4, channels=0), 'channels must be at least 1, got 0'),
        (lambda: CrissCross(16, recurrence=0), 'recurrence must be at least 1, got 0'),
        (lambda: GlobalContext(16, ratio=1 / 32), 'ratio=0.03125 leaves no channel'),
        (lambda: GlobalContext(16, pooling_type='max'), "one of .*'att', 'avg'.* got 'max'"),
        (lambda: GlobalContext(16, fusion_types='channel_add'), 'must be a sequence'),
        (lambda: GlobalContext(16, fusion_types=()), 'one or more'),
        (lambda: GlobalContext(16, fusion_types=['add']), r"got \['add'\]"),
        (lambda: FullyAttentional(16, norm_cfg=dict(type='BM')), 'norm_cfg: unknown type .BM.*BN'),
        (lambda: FullyAttentional(16, act_cfg=dict(type='Relu')), 'act_cfg: unknown type .Relu'),
    ],
)
def test_wrong_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
