"""Norms by their configs, and batch norms that see few values a channel."""

import copy

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.utils.checkpoint import checkpoint

from mmattn.attention import (
    AFF,
    BAM,
    CBAM,
    IAFF,
    MSCAM,
    SIAU,
    GatherExcite,
    GSoP,
    ResidualAttention,
    SKConv,
)
from mmattn.attention.layers import ConvNormAct
from mmattn.attention.norms import NormSequential, build_norm

BN = dict(type='BN')
RUNNING = ('running_mean', 'running_var')


def layer(norm_cfg: dict = BN, channels: int = 3) -> NormSequential:
    """A norm alone, with statistics and parameters away from 0 and 1."""
    torch.manual_seed(0)
    norm = build_norm(norm_cfg, channels)[1]
    with torch.no_grad():
        for value in [*norm.parameters(), *(getattr(norm, key) for key in RUNNING)]:
            value.uniform_(0.5, 1.5)
    return NormSequential(norm)


def step(module: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, gradients, and state after it."""
    x = x.clone().requires_grad_()
    output = module(x)
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    gradients = [x.grad, *(parameter.grad for parameter in module.parameters())]
    return [output, *gradients, *(value.clone() for value in module.state_dict().values())]


@pytest.mark.parametrize(
    'norm_cfg', [BN, dict(type='SyncBN'), dict(type='BN', momentum=None)], ids=str
)
@pytest.mark.parametrize('shape', [(4, 3, 1, 1), (1, 3, 2, 2), (2, 3, 5, 4)])
def test_four_values_or_more_are_the_batch_norm(norm_cfg, shape):
    ours = layer(norm_cfg)
    norm = copy.deepcopy(ours[0])
    x = torch.randn(shape)
    assert all(map(torch.equal, step(ours, x), step(norm, x)))


@pytest.mark.parametrize('batch', [1, 2, 3, 8])
def test_evaluation_is_the_batch_norm(batch):
    ours = layer().eval()
    x = torch.randn(batch, 3, 1, 1)
    assert all(map(torch.equal, step(ours, x), step(copy.deepcopy(ours[0]), x)))


@pytest.mark.parametrize('batch', [1, 2, 3])
@pytest.mark.parametrize('momentum', [0.1, None])
def test_few_values_are_normalised_by_running_statistics(batch, momentum):
    ours, x = layer(dict(type='BN', momentum=momentum)), torch.randn(batch, 3, 1, 1)
    mean, variance = ours[0].running_mean.clone(), ours[0].running_var.clone()
    rate = 1.0 if momentum is None else momentum  # the first batch of a cumulative average
    values = x.flatten(1)
    deviations = (values - mean).square().mean(0)
    mean = mean + rate * (values.mean(0) - mean)
    variance = variance + rate * (deviations - variance)
    output = ours(x)
    torch.testing.assert_close(ours[0].running_mean, mean)
    torch.testing.assert_close(ours[0].running_var, variance)
    assert ours[0].num_batches_tracked == 1
    torch.testing.assert_close(ours.eval()(x), output)


def test_two_nearly_equal_values_have_small_gradients():
    x = torch.randn(1, 3, 1, 1) + torch.tensor([0.0, 0.003]).view(2, 1, 1, 1)
    assert step(copy.deepcopy(layer()[0]), x)[1].abs().max() > 30
    assert step(layer(), x)[1].abs().max() < 3


def test_many_batches_of_two_learn_the_statistics_of_all():
    ours = layer(dict(type='BN', momentum=0.01))
    for _ in range(2000):
        ours(2 + 3 * torch.randn(2, 3, 1, 1))
    torch.testing.assert_close(ours[0].running_mean, torch.full((3,), 2.0), atol=0.7, rtol=0)
    torch.testing.assert_close(ours[0].running_var, torch.full((3,), 9.0), atol=2.5, rtol=0)


@pytest.mark.parametrize('use_reentrant', [False, True])
def test_activation_checkpointing_changes_nothing(use_reentrant):
    plain, x = nn.Sequential(layer(), layer(), nn.Tanh()), torch.randn(2, 3, 1, 1)
    checkpointed = copy.deepcopy(plain)
    expected = step(plain, x)
    actual = step(
        _Checkpointed(checkpointed, use_reentrant),
        x,
    )
    assert all(map(torch.equal, actual, expected))


class _Checkpointed(nn.Module):
    def __init__(self, module: nn.Module, use_reentrant: bool) -> None:
        super().__init__()
        self.module, self.use_reentrant = module, use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.module, x, use_reentrant=self.use_reentrant)


def test_a_module_that_runs_twice_before_the_backward_pass():
    ours = layer()
    sum(ours(torch.randn(2, 3, 1, 1)).sum() for _ in range(2)).backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters())


def test_training_compiles_to_one_graph():
    ours, x = layer(), torch.randn(2, 3, 1, 1)
    torch._dynamo.reset()
    compiled = torch.compile(copy.deepcopy(ours), fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(step(compiled, x), step(ours, x))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_and_half_inputs(dtype):
    ours, x = layer(), torch.randn(2, 3, 1, 1)
    expected = copy.deepcopy(ours)(x)
    with torch.autocast('cpu', dtype=dtype):
        output = ours(x.to(dtype))
    assert output.dtype == dtype and ours[0].running_mean.dtype == torch.float32
    torch.testing.assert_close(output.float(), expected, atol=0.05, rtol=0.05)


def test_without_running_statistics_few_values_are_refused():
    module = ConvNormAct(3, 3, norm_cfg=dict(type='BN', track_running_stats=False))
    with pytest.raises(ValueError, match=r'4 values a channel.*\(2, 3, 1, 1\).*Remedies: .*GN'):
        module(torch.randn(2, 3, 1, 1))
    assert module(torch.randn(4, 3, 1, 1)).isfinite().all()


def test_group_norm_of_single_values_is_refused_in_training():
    module = MSCAM(32, norm_cfg=dict(type='GN', num_groups=8))
    with pytest.raises(ValueError, match=r'num_groups=8 .* \(2, 8, 1, 1\).*norm_cfg of its own'):
        module(torch.randn(2, 32, 5, 4))
    assert (
        MSCAM(32, norm_cfg=dict(type='GN', num_groups=4))(torch.randn(2, 32, 5, 4)).isfinite().all()
    )


@pytest.mark.parametrize('tracking', [True, False])
def test_instance_norm_of_one_pixel_is_refused_where_it_is_by_that_pixel(tracking):
    module = MSCAM(16, norm_cfg=dict(type='IN', track_running_stats=tracking))
    x = torch.randn(2, 16, 5, 4)
    for training in (True, False):
        module.train(training)
        if tracking and not training:
            assert module(x).isfinite().all()
            continue
        with pytest.raises(ValueError, match=r'IN .* \(2, 4, 1, 1\).*norm_cfg of its own'):
            module(x)


def test_a_frozen_norm_keeps_its_statistics():
    ours = layer()
    before = copy.deepcopy(ours.state_dict())
    ours.train()
    ours[0].eval()
    ours(torch.randn(2, 3, 1, 1))
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())


def _run_process(rank: int, path: str, results) -> None:
    distributed.init_process_group('gloo', f'file://{path}', rank=rank, world_size=2)
    ours = layer(dict(type='SyncBN'))
    x = torch.randn(2, 3, 1, 1, generator=torch.Generator().manual_seed(1))[rank : rank + 1]
    ours(x)
    results.put([rank, [getattr(ours[0], key).tolist() for key in RUNNING]])
    distributed.destroy_process_group()


def test_processes_share_the_statistics_of_a_synchronised_norm(tmp_path):
    """Two processes with an image each count two values, and both learn what one with two does."""
    context = torch.multiprocessing.get_context('spawn')
    results = context.SimpleQueue()
    torch.multiprocessing.spawn(
        _run_process, (str(tmp_path / 'store'), results), nprocs=2, start_method='spawn'
    )
    alone = layer(dict(type='SyncBN'))
    alone(torch.randn(2, 3, 1, 1, generator=torch.Generator().manual_seed(1)))
    expected = [getattr(alone[0], key) for key in RUNNING]
    for _ in range(2):
        _, statistics = results.get()
        torch.testing.assert_close([torch.tensor(value) for value in statistics], expected)


POOLED = {
    'AFF': lambda: AFF(16),
    'BAM': lambda: BAM(16, reduction=4, channel_layers=2),
    'GatherExcite': lambda: GatherExcite(16, None, 'theta', size=(4, 5)),
    'GSoP': lambda: GSoP(16, channels=1),
    'GSoP of one cell': lambda: GSoP(16, 'spatial', channels=8, grid=1),
    'IAFF': lambda: IAFF(16),
    'MSCAM': lambda: MSCAM(16),
    'ResidualAttention': lambda: ResidualAttention(16),
    'SIAU': lambda: SIAU(16),
    'SKConv': lambda: SKConv(16, groups=4),
}


@pytest.mark.parametrize('batch', [1, 2])
@pytest.mark.parametrize('name', POOLED)
def test_mechanisms_that_pool_to_one_pixel_train_with_few_images(name, batch):
    torch.manual_seed(0)
    module = POOLED[name]()
    # Nearly equal images, as two crops of one street are.
    x = torch.randn(1, 16, 7, 7) + 0.001 * torch.randn(batch, 16, 7, 7)
    x.requires_grad_()
    output = module(x, 2 * x) if name in ('AFF', 'IAFF') else module(x)
    output.square().mean().backward()
    for key, leaf in [('input', x), *module.named_parameters()]:
        assert leaf.grad.isfinite().all() and leaf.grad.norm() < 10, key


@pytest.mark.parametrize('kind', ['BN', 'SyncBN', 'BN2d'])
def test_batch_norm_of_cbam_has_the_momentum_of_its_authors(kind):
    assert CBAM(16).spatial_conv.bn.momentum == 0.01
    assert CBAM(16, norm_cfg=dict(type=kind)).spatial_conv.bn.momentum == 0.01
    assert CBAM(16, norm_cfg=dict(type=kind, momentum=0.1)).spatial_conv.bn.momentum == 0.1


def test_groups_that_do_not_divide_the_channels_are_named():
    with pytest.raises(ValueError, match='one has 1 channels, got num_groups=32 .1 divides all'):
        CBAM(16, norm_cfg=dict(type='GN', num_groups=32))
