"""A small model with its checkpoint, for what predicts."""

from pathlib import Path

import torch
from mmseg.registry import MODELS

import mmattn.apis  # noqa: F401  registers the models
from mmattn.preflight.config import load_config

CONFIG = """
default_scope = 'mmseg'
custom_imports = dict(imports=['mmattn.models', 'mmattn.datasets', 'mmattn.engine'])
norm = dict(type='SyncBN')
head = dict(in_channels=32, in_index=2, channels=8, num_classes=8, norm_cfg=norm)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(64, 64), bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type='AttnResNetV1c', depth=18, base_channels=8, stem_channels=8, num_stages=3,
        strides=(1, 2, 1), dilations=(1, 1, 2), out_indices=(0, 1, 2), norm_cfg=norm,
        init_cfg=dict(type='Pretrained', checkpoint='http://127.0.0.1:9/none.pth')),
    decode_head=dict(type='DANetHead', pam_channels=4, **head),
    auxiliary_head=dict(type='FCNHead', num_convs=1, **head),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 48), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]
test_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(type='ToyScenesDataset',
    data_root='nowhere', data_prefix=dict(img_path='images'), pipeline=test_pipeline))
tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale_factor=ratio, keep_ratio=True) for ratio in (0.75, 1.0)],
        [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')]])]
del norm, head
"""

DATA = """
_base_ = '{config}'
test_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data_root='{root}',
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')))
test_evaluator = dict(type='SegmentationMetric', iou_metrics=['mIoU'])
test_cfg = dict(type='TestLoop')
"""


def with_data(config: Path, root: Path, folder: Path) -> Path:
    """A config of the small model, written to a folder, that is tested on a toy set."""
    file = folder / 'toy.py'
    file.write_text(DATA.format(config=config, root=root))
    return file


def write_small_model(folder: Path) -> tuple[Path, Path]:
    """Config and checkpoint; the weights are random, and the norms look used."""
    config, checkpoint = folder / 'small.py', folder / 'iter_1.pth'
    config.write_text(CONFIG)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS.build(load_config(config, {'model.backbone.init_cfg': None}).model)
        for name, value in model.state_dict().items():
            if name.endswith(('running_mean', 'gamma')):
                value.normal_(std=0.3)
            if name.endswith(('running_var', 'norm1.weight', 'bn.weight')):
                value.uniform_(0.5, 1.5)
            if name.endswith('conv_seg.weight'):
                value.normal_()
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, checkpoint)
    return config, checkpoint
