"""Clips: which frames they are, how they are loaded, and what a model makes of them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample
from PIL import Image
from torch import nn

import mmattn.datasets
import mmattn.engine
import mmattn.models  # noqa: F401  registers what is built here
from mmattn.engine.seekable import seekable
from mmattn.errors import UserError

# Two sequences, the first with a gap.
NAMES = [f'a_{number:03}' for number in (0, 30, 60, 90, 120, 400, 430, 460)] + [
    f'b_f{number:03}' for number in (2, 4, 6)
]
SIZE = (24, 32)
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
PACK = dict(type='PackSegInputs')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    """Frames that all show the same noise."""
    root = tmp_path_factory.mktemp('video')
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    for folder, pixels in (('images', picture), ('labels', picture[..., 0] % 11)):
        (root / folder).mkdir()
        for name in NAMES:
            Image.fromarray(pixels).save(root / folder / f'{name}.png')
    return root


def settings(root: Path, kind: str = 'CamVidClips', steps: tuple = (), **options) -> dict:
    return dict(
        type=kind,
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=[*LOAD, *steps, PACK],
        **options,
    )


def names(dataset, clips: list[list[int]]) -> list[list[str]]:
    count = len(dataset)
    return [
        [
            Path(dataset.get_data_info(index % count)['img_path']).stem
            + ('*' if index >= count else '')
            for index in clip
        ]
        for clip in clips
    ]


def test_clips_are_neighbours_of_one_sequence(root):
    dataset = DATASETS.build(settings(root, num_frames=3))
    assert names(dataset, dataset.clips(overlap=True)) == [
        ['a_000', 'a_030', 'a_060'],
        ['a_030', 'a_060', 'a_090'],
        ['a_060', 'a_090', 'a_120'],
        ['a_400', 'a_430', 'a_460'],
        ['b_f002', 'b_f004', 'b_f006'],
    ]
    assert names(dataset, dataset.clips(overlap=False)) == [
        ['a_000', 'a_030', 'a_060'],
        ['a_060*', 'a_090', 'a_120'],
        ['a_400', 'a_430', 'a_460'],
        ['b_f002', 'b_f004', 'b_f006'],
    ]
    assert len(dataset) == len(NAMES)


def test_what_makes_no_clips_is_named(root, tmp_path):
    with pytest.raises(UserError, match='has no 6 frames in a row with gaps of at most 45'):
        DATASETS.build(settings(root, num_frames=6)).clips(True)
    with pytest.raises(UserError, match='num_frames must be at least 1, got 0'):
        DATASETS.build(settings(root, num_frames=0))
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
        Image.new('L', (8, 8)).save(tmp_path / folder / 'frame.png')
    with pytest.raises(UserError, match='frame frame of .* must be named by sequence and number'):
        DATASETS.build(settings(tmp_path, num_frames=1)).clips(True)


def test_evaluation_scores_every_frame_once(root):
    sampler = dict(type='ClipSampler', sampler=dict(type='DefaultSampler', shuffle=False))
    loader = Runner.build_dataloader(
        dict(dataset=settings(root, num_frames=3), sampler=sampler, batch_size=3, num_workers=0)
    )
    scored = Counter()
    for batch in loader:
        assert len({Path(sample.img_path).stem[0] for sample in batch['data_samples']}) == 1
        for sample in batch['data_samples']:
            scored[Path(sample.img_path).stem] += int((sample.gt_sem_seg.data != 255).any())
            assert sample.get('repeated', False) == (not (sample.gt_sem_seg.data != 255).any())
    assert scored == dict.fromkeys(NAMES, 1)


STEPS = (
    dict(type='RandomCrop', crop_size=(12, 16)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
)


def training_batches(root: Path, kind: str, sampler: dict, **options) -> list[torch.Tensor]:
    """What the training loop loads, as it loads it."""
    loader = dict(
        dataset=settings(root, kind, STEPS, **options),
        sampler=sampler,
        batch_size=6,
        num_workers=0,
    )
    batches = iter(Runner.build_dataloader(ConfigDict(seekable(loader)), seed=0))
    return [torch.stack(next(batches)['inputs']) for _ in range(3)]


def test_training_treats_the_frames_of_a_clip_alike(root):
    endless = dict(type='InfiniteSampler', shuffle=True)
    clips = dict(type='ClipSampler', sampler=endless, overlap=True)
    first = [
        frames
        for batch in training_batches(root, 'CamVidClips', clips, num_frames=3)
        for frames in batch.split(3)
    ]
    for frames in first:
        assert torch.equal(frames[0], frames[1]) and torch.equal(frames[0], frames[2])
    assert len({frames[0].numpy().tobytes() for frames in first}) > 3

    images = torch.cat(training_batches(root, 'CamVidDataset', endless))
    assert len({image.numpy().tobytes() for image in images}) > len(images) / 2


def segmentor(kind: str, num_frames: int) -> nn.Module:
    """With every parameter away from 0, in evaluation mode."""
    norm_cfg = dict(type='BN')
    plugins = [dict(cfg=dict(type=kind, num_frames=num_frames), position='after_stage')]
    backbone = dict(
        type='AttnResNet',
        depth=18,
        base_channels=8,
        stem_channels=8,
        num_stages=1,
        strides=(1,),
        dilations=(1,),
        out_indices=(0,),
        norm_cfg=norm_cfg,
        plugins=plugins,
    )
    head = dict(
        type='FCNHead', in_channels=8, in_index=0, channels=8, num_classes=11, norm_cfg=norm_cfg
    )
    model = MODELS.build(
        ConfigDict(
            type='EncoderDecoder',
            backbone=backbone,
            decode_head=head,
            test_cfg=dict(mode='whole'),
        )
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.rand(parameter.shape) * 0.2)
    return model.eval()


@torch.no_grad()
def logits(model: nn.Module, frames: torch.Tensor) -> torch.Tensor:
    samples = [SegDataSample() for _ in frames]
    for sample in samples:
        sample.set_metainfo(dict(img_shape=SIZE, ori_shape=SIZE, pad_shape=SIZE))
        sample.gt_sem_seg = PixelData(data=torch.zeros(1, *SIZE))
    return torch.stack([result.seg_logits.data for result in model.predict(frames, samples)])


@pytest.mark.parametrize('kind', ['SIAU', 'CIAU'])
def test_frames_interact_with_those_of_their_clip_alone(kind):
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(6, 3, *SIZE, generator=generator)
    changed = frames.clone()
    changed[4] = torch.randn(3, *SIZE, generator=generator)
    model, alone = segmentor(kind, 3), segmentor(kind, 1)

    def moved(model: nn.Module) -> list[bool]:
        difference = (logits(model, frames) - logits(model, changed)).abs().amax(dim=(1, 2, 3))
        return (difference > 0).tolist()

    assert moved(model) == [False, False, False, True, True, True]
    assert moved(alone) == [False, False, False, False, True, False]
    assert (logits(model, frames) - logits(alone, frames)).abs().max() > 1e-4


def test_a_batch_of_frames_collates_as_images_do(root):
    dataset = DATASETS.build(settings(root, num_frames=3))
    batch = pseudo_collate([dataset[index] for index in dataset.clips(True)[0]])
    assert [x.shape for x in batch['inputs']] == 3 * [(3, *SIZE)]
