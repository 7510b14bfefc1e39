"""Models whose weights are shared out over processes train as those that each process has whole."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from torch import nn

from mmattn import apis
from mmattn.apis.options import use_fsdp
from mmattn.cli.arguments import parse_value
from mmattn.datasets import generate_toy_scenes
from mmattn.engine import sharding
from mmattn.engine.checkpoints import safe_load
from mmattn.engine.cpu import AutocastOptimWrapper, CPUDistributedDataParallel
from mmattn.engine.sharding import ShardedDataParallel
from mmattn.engine.step_guard import StepGuard
from mmattn.errors import UserError
from mmattn.preflight.config import load_config

from ..e2e.conftest import CONFIG, SMALL

WORLD = 2
UNITS = 5_000  # parameters; the blocks of the small model have some more
OPTIONS = (
    *SMALL,
    'model.decode_head.dropout_ratio=0.2',
    'train_dataloader.dataset.pipeline.2.scale=(96,48)',
    'train_dataloader.dataset.pipeline.3.crop_size=(32,64)',
    'model.data_preprocessor.size=(32,64)',
    'val_dataloader.dataset.indices=3',
    'test_dataloader.dataset.indices=3',
    'optim_wrapper.clip_grad.max_norm=0.5',
    'optim_wrapper.accumulative_counts=2',  # of AdamW
    'train_cfg.max_iters=2',
)


def options(*more: str) -> dict:
    pairs = (option.partition('=') for option in (*OPTIONS, *more))
    return {key: parse_value(key, text) for key, _, text in pairs}


def train(folder: Path, *more: str, **settings) -> None:
    settings = dict(launcher='pytorch', seed=1, check_data='off') | settings
    apis.train(CONFIG, work_dir=folder, cfg_options=options(*more), **settings)


def processes_train(folder: Path) -> None:
    train(folder / 'whole')
    train(folder / 'sharded', f'model_wrapper_cfg.unit_parameters={UNITS}', fsdp=True)


def processes_go_on(folder: Path) -> None:
    two = folder / 'whole/iter_2.pth'
    train(folder / 'whole on', 'train_cfg.max_iters=4', resume=two)
    train(folder / 'sharded on', 'train_cfg.max_iters=4', resume=two, fsdp=True)
    with pytest.raises(UserError, match='EMAHook .* --fsdp'):
        train(folder / 'ema', "custom_hooks=[{'type': 'EMAHook'}]", fsdp=True)
    metrics = apis.test(
        CONFIG,
        two,
        work_dir=folder / 'test',
        launcher='pytorch',
        cfg_options=options('model_wrapper_cfg.type=ShardedDataParallel'),
        check_data='off',
    )
    if dist.get_rank() == 0:
        (folder / 'metrics.json').write_text(json.dumps(metrics))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 7, 3, bias=False),
            nn.BatchNorm2d(7),
            nn.Sequential(nn.Conv2d(7, 16, 3), nn.ReLU()),
        )
        self.head = nn.Conv2d(16, 3, 1)
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x)) * self.scale


def wrapped(kind: type, **settings) -> tuple[nn.Module, OptimWrapper]:
    torch.manual_seed(0)
    net = Net().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    if kind is ShardedDataParallel:
        model = ShardedDataParallel(net, unit_parameters=500)
        model.shard(optimizer)
    else:
        model = CPUDistributedDataParallel(net, broadcast_buffers=False)
    return model, settings.pop('wrapper', OptimWrapper)(optimizer=optimizer, **settings)


def step(model: nn.Module, wrapper: OptimWrapper, loss=lambda y: y.float().square().mean()):
    with wrapper.optim_context(model):
        output = model(torch.randn(2, 3, 8, 8))
    wrapper.update_params(loss(output))


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: sharding._whole(x) for name, x in model.module.state_dict().items()}


def processes_step(folder: Path) -> None:
    rank = dist.get_rank()
    MessageHub.get_instance('sharding')
    found = {}
    for kind in (CPUDistributedDataParallel, ShardedDataParallel):
        for amp in (False, True):
            model, wrapper = wrapped(kind, wrapper=AutocastOptimWrapper if amp else OptimWrapper)
            wrapper.autocast = True
            torch.manual_seed(rank)
            for _ in range(3):
                step(model, wrapper)
            found[kind.__name__, amp] = weights(model)

    model, wrapper = wrapped(ShardedDataParallel)
    guard = StepGuard(wrapper, model)
    before = weights(model)
    step(model, wrapper, loss=lambda y: y.mean() * (torch.nan if rank == 1 else 1))
    found['bad step'] = guard.skipped_in_a_row, before, weights(model)
    step(model, wrapper)
    found['good step'] = guard.skipped_in_a_row
    found['norm'] = wrapper.message_hub.get_scalar('train/grad_norm').current()

    amp_optimizer_wrapper.is_cuda_available = lambda: True
    scaled, scaler = wrapped(ShardedDataParallel, wrapper=AmpOptimWrapper)
    scaler.loss_scaler = torch.amp.GradScaler('cpu', init_scale=4.0)  # that for GPUs, on the CPU
    guard = StepGuard(scaler, scaled)
    before = weights(scaled)
    step(scaled, scaler, loss=lambda y: y.float().mean() * (torch.inf if rank == 1 else 1))
    found['scaled'] = (
        guard.skipped_in_a_row,
        scaler.loss_scaler.get_scale(),
        before,
        weights(scaled),
    )

    parts = [x.to_local() for x in model.module.parameters()]
    slots = wrapper.optimizer.state.values()
    slots = [entry.to_local() for slot in slots for entry in slot.values() if entry.dim()]
    found['parts'] = [sum(x.nbytes for x in kept) for kept in (parts, slots)]
    found['held'] = [sum(x.untyped_storage().nbytes() for x in kept) for kept in (parts, slots)]
    found['units'] = len(model.units)

    model.eval()
    with torch.no_grad():
        for _ in range(1 + 2 * rank):  # as images of other sizes have other numbers of windows
            output = model(torch.ones(1, 3, 8, 8))
    model.train()
    found['after evaluation'] = all(hasattr(x, 'to_local') for x in model.module.parameters())
    found['output'] = output
    step(model, wrapper)
    torch.save(found, folder / f'{rank}.pth')


def process(rank: int, run: Callable, folder: Path, data: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= dict(RANK=str(rank), WORLD_SIZE=str(WORLD), LOCAL_RANK=str(rank))
    os.environ |= dict(CUDA_VISIBLE_DEVICES='', MMATTN_DATA=str(data))
    store = f'file://{folder}/{run.__name__}.store'
    dist.init_process_group('gloo', init_method=store, rank=rank, world_size=WORLD)
    run(folder)
    dist.barrier()
    dist.destroy_process_group()


def in_processes(run: Callable, folder: Path, data: Path) -> Path:
    # Forked: they need no imports.
    arguments = (run, folder, data)
    torch.multiprocessing.start_processes(process, arguments, WORLD, start_method='fork')
    return folder


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    generate_toy_scenes(folder / 'toy')
    return folder


@pytest.fixture(scope='module')
def found(tmp_path_factory) -> list[dict]:
    """What two processes have found in single steps."""
    folder = tmp_path_factory.mktemp('steps')
    in_processes(processes_step, folder, folder)
    return [torch.load(folder / f'{rank}.pth', weights_only=False) for rank in range(WORLD)]


@pytest.fixture(scope='module')
def ran(tmp_path_factory, data) -> Path:
    """The folder of trainings by two processes."""
    return in_processes(processes_train, tmp_path_factory.mktemp('sharding'), data)


@pytest.fixture(scope='module')
def went_on(ran, data) -> Path:
    return in_processes(processes_go_on, ran, data)


def assert_close(left, right, **tolerance) -> None:
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6, **tolerance)


def assert_same_checkpoint(left: Path, right: Path) -> None:
    left, right = safe_load(left), safe_load(right)
    assert left.keys() == right.keys()
    assert list(left['state_dict']) == list(right['state_dict'])
    assert left['state_dict']._metadata == right['state_dict']._metadata
    assert_close(left['state_dict'], right['state_dict'])
    assert left['optimizer']['param_groups'] == right['optimizer']['param_groups']
    assert_close(left['optimizer']['state'], right['optimizer']['state'])


def test_checkpoints_and_metrics_are_those_of_whole_models(ran):
    assert_same_checkpoint(ran / 'sharded/iter_2.pth', ran / 'whole/iter_2.pth')
    records = [
        json.loads((ran / name / 'iter_2.json').read_text()) for name in ('sharded', 'whole')
    ]
    assert records[0]['metrics'] == records[1]['metrics']
    assert 'mIoU' in records[0]['metrics']['2']
    names = [sorted(x.name for x in (ran / name).glob('*.pth')) for name in ('sharded', 'whole')]
    assert names[0] == names[1] == ['best_mIoU_iter_2.pth', 'iter_2.pth']


def test_the_norm_of_the_gradients_is_that_of_the_whole(ran, found):
    logs = [
        safe_load(ran / name / 'iter_2.pth')['message_hub']['log_scalars']['train/grad_norm']
        for name in ('sharded', 'whole')
    ]
    norms = [float(log.current()) for log in logs]
    assert norms[1] > 0.5  # it was clipped
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    assert found[0]['norm'] == found[1]['norm']


@pytest.mark.slow
def test_a_sharded_run_goes_on_with_the_state_of_whole_models(went_on):
    assert_same_checkpoint(went_on / 'sharded on/iter_4.pth', went_on / 'whole on/iter_4.pth')


@pytest.mark.slow
def test_one_process_goes_on_with_the_state_of_two(ran, data, tmp_path, monkeypatch):
    monkeypatch.setenv('MMATTN_DATA', str(data))
    two = ran / 'sharded/iter_2.pth'
    train(tmp_path, 'train_cfg.max_iters=4', 'train_cfg.val_begin=9', launcher='none', resume=two)
    state = safe_load(tmp_path / 'iter_4.pth')
    assert state['message_hub']['runtime_info']['samples_drawn'] == 2 * 4 + 2 * 2
    assert all(x.isfinite().all() for x in state['state_dict'].values())


@pytest.mark.slow
def test_a_test_run_has_the_model_whole(went_on):
    metrics = json.loads((went_on / 'metrics.json').read_text())
    record = json.loads((went_on / 'whole/iter_2.json').read_text())
    assert metrics == record['metrics']['2']


@pytest.mark.parametrize('amp', [False, True], ids=['float32', 'bfloat16'])
def test_steps_are_those_of_whole_models(found, amp):
    tolerance = dict(rtol=1e-2, atol=5e-3) if amp else dict(rtol=1e-5, atol=1e-6)
    whole, sharded = (
        found[0][kind.__name__, amp] for kind in (CPUDistributedDataParallel, ShardedDataParallel)
    )
    for name, value in whole.items():
        torch.testing.assert_close(sharded[name].view_as(value), value, **tolerance)


def test_a_step_of_nan_in_one_process_is_skipped_by_all(found):
    for process in found:
        skipped, before, after = process['bad step']
        assert skipped == 1
        assert process['good step'] == 0
    skipped, before, after = found[0]['bad step']
    assert all(torch.equal(value, after[name]) for name, value in before.items() if value.dim())


def test_an_overflow_in_one_process_is_found_by_the_scaler_of_all(found):
    for process in found:
        skipped, scale, before, after = process['scaled']
        assert (skipped, scale) == (1, 2)
    _, _, before, after = found[0]['scaled']
    assert all(torch.equal(value, after[name]) for name, value in before.items() if value.dim())


def test_a_process_holds_its_part_of_weights_and_state(found):
    weights = sum(x.nbytes for x in Net().parameters())
    whole = torch.tensor([weights, 2 * weights])
    parts, held = (torch.tensor([process[key] for process in found]) for key in ('parts', 'held'))
    assert torch.equal(parts.sum(0), whole)
    assert (held / whole < 0.6).all()  # with what torch fills up to equal parts
    assert found[0]['units'] == 1


def test_processes_evaluate_with_the_whole_model_at_their_own_pace(found):
    assert found[0]['after evaluation'] and found[1]['after evaluation']
    assert torch.equal(found[0]['output'], found[1]['output'])


def test_one_process_alone_has_nothing_to_share():
    with pytest.raises(UserError, match='--fsdp .* torchrun .*--launcher pytorch'):
        use_fsdp(load_config(CONFIG), 'none')


def test_another_wrapper_is_not_replaced():
    cfg = load_config(CONFIG, {'model_wrapper_cfg': {'type': 'MMSeparateDistributedDataParallel'}})
    with pytest.raises(UserError, match='MMSeparateDistributedDataParallel'):
        use_fsdp(cfg, 'pytorch')


def test_a_torch_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setattr(sharding, 'FSDPModule', ())
    monkeypatch.setattr(sharding, 'DTensor', ())
    with pytest.raises(UserError, match='torch .* is too old for sharded training'):
        ShardedDataParallel(Net())
    weight = torch.ones(2)
    assert sharding.part_of(weight, nn.Parameter(weight)) is weight
