"""Processes that share a batch have the gradients of one process with the whole of it."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmattn.engine.cpu import CPUDistributedDataParallel

REPO = Path(__file__).resolve().parents[2]
(CONFIG,) = REPO.glob('configs/danet/danet_r18-d8_*_toy-128x256.py')
NORMS = {
    'group': dict(type='GN', num_groups=2),
    'batch, fixed': dict(type='BN'),
    'batch': dict(type='BN'),
}


def model_with(norm: str):
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIG).model
    kind = NORMS[norm]
    cfg.backbone.update(norm_cfg=kind, base_channels=8, stem_channels=8)
    cfg.decode_head.update(norm_cfg=kind, in_channels=64, channels=16, dropout_ratio=0)
    cfg.auxiliary_head.update(norm_cfg=kind, in_channels=32, channels=8, dropout_ratio=0)
    init_default_scope('mmseg')
    model = MODELS.build(cfg).double().train()
    if norm == 'batch, fixed':
        for layer in model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.eval()
    return model


def gradients(rank: int, world: int, folder: Path) -> None:
    """Of this process's part of a batch of 8; the first process saves what all have agreed on."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    images = torch.randn(8, 3, 32, 64, dtype=torch.float64)
    labels = torch.randint(8, (8, 1, 32, 64))
    part = slice(rank * 8 // world, (rank + 1) * 8 // world)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels[part]]
    if world > 1:
        store = f'file://{folder}/store'
        dist.init_process_group('gloo', init_method=store, rank=rank, world_size=world)
    found = {}
    for norm in NORMS:
        model = bare = model_with(norm)
        if world > 1:
            model = CPUDistributedDataParallel(model, broadcast_buffers=False)
        loss, _ = bare.parse_losses(model(images[part], samples, mode='loss'))
        loss.backward()
        found[norm] = {name: x.grad for name, x in bare.named_parameters() if x.grad is not None}
    if rank == 0:
        torch.save(found, folder / f'{world}.pth')
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


@pytest.mark.parametrize('world', [2, pytest.param(4, marks=pytest.mark.slow)])
def test_shared_batches_have_the_gradients_of_the_whole(tmp_path, world):
    gradients(0, 1, tmp_path)
    torch.multiprocessing.spawn(gradients, (world, tmp_path), nprocs=world)
    whole, shared = (torch.load(tmp_path / f'{number}.pth') for number in (1, world))
    for norm in ('group', 'batch, fixed'):
        assert len(whole[norm]) > 60
        torch.testing.assert_close(shared[norm], whole[norm], rtol=1e-9, atol=1e-12)
    # A batch norm normalises by the images of its own process; SyncBN, on GPUs, by all.
    far = [not torch.allclose(shared['batch'][name], x) for name, x in whole['batch'].items()]
    assert sum(far) > len(far) / 2
