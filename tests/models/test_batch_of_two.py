"""Every mechanism in every place of ResNet-50 trains with two images, as of Cityscapes' 4xb2."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image
from torch import Tensor, nn

import mmattn.models  # noqa: F401, registers what is built here
from mmattn.models import MECHANISMS
from tests.conftest import REPO
from tests.models.test_host_norm import ARGUMENTS

CROP = 32
STEPS = 20
# Stages that hold a plugin. On the shortcut it chains through all 16 blocks; inside the residual
# branches one stage for each place will do.
PLACES = {
    'after_conv1': (True, False, False, False),
    'after_conv2': (True, False, False, False),
    'after_conv3': (False, True, False, False),
    'after_add': (True, True, True, True),
    'after_stage': (True, True, True, True),
}
# Half the width of ResNet-50 to save time, but for those that became NaN.
BASE_CHANNELS = 32
FULL_WIDTH = ('AFF', 'IAFF', 'MSCAM')
# Mechanisms that weigh as much as several blocks stand in the two narrow stages only.
LARGE = ('FullyAttentional', 'GAM', 'InterlacedSparse', 'ResidualAttention')
ARGUMENTS = ARGUMENTS | {
    'GatherExcite': dict(parametrisation='theta_plus', size=4),
    'SGE': dict(groups=16),
}
# These make the pixels of an image nearly equal in a new network (attention without a residual,
# regions that start as the mean of the image, relations to all positions). Norms behind them then
# see two values, however many pixels there are; chained on the shortcut of all 16 blocks they do
# not train with two images, so there they stand in the first stage alone.
LEVELLING = [name for name, row in MECHANISMS.items() if row.levels]


def everywhere(name: str) -> dict:
    """The parts of a model that hold the mechanism, in all places that it fits."""
    cfg, kind = dict(type=name, **ARGUMENTS.get(name, {})), MECHANISMS[name].kind
    base_channels = 64 if name in FULL_WIDTH else BASE_CHANNELS
    widths = [4 * base_channels << stage for stage in range(4)]
    if kind == 'fusion':
        neck = dict(type='AFFFPN', out_channels=256, num_outs=4, fusion=cfg)
        backbone = dict(fusion=cfg)
        heads = dict(decode_head=dict(in_channels=256), auxiliary_head=dict(in_channels=256))
    else:
        narrow = (True, True, name not in LARGE, name not in LARGE)
        neck = dict(type='AttentionNeck', attention=[cfg if hold else None for hold in narrow])
        places = dict(PLACES)
        if name in LEVELLING:
            places['after_add'] = PLACES['after_conv1']
        plugins = [
            dict(
                cfg=dict(cfg, postfix=f'_{position}'),
                position=position,
                stages=[hold and wanted for hold, wanted in zip(narrow, stages, strict=True)],
            )
            for position, stages in places.items()
        ]
        backbone = dict(plugins=plugins, conv2=cfg if kind == 'convolution' else None)
        heads = dict(
            decode_head=dict(type='AttentionHead', attention=cfg, in_channels=widths[3]),
            auxiliary_head=dict(in_channels=widths[2]),
        )
    backbone.update(base_channels=base_channels, stem_channels=base_channels)
    return dict(backbone=backbone, neck=dict(neck, in_channels=widths), **heads)


def segmentor(parts: dict) -> nn.Module:
    """FCN on ResNet-50 of configs/_base_, from random weights."""
    config = Config.fromfile(REPO / 'configs/_base_/models/resnet50_d8.py')
    own = dict(
        pretrained=None,
        data_preprocessor=dict(size=(CROP, CROP)),
        backbone=dict(type='AttnResNetV1c'),
        decode_head=dict(type='FCNHead'),
    )
    config.merge_from_dict(dict(model=own))
    config.merge_from_dict(dict(model=parts))
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    return model.train()


def crops(folder: Path, generator: random.Random) -> dict:
    """Two random crops of street scenes."""
    images, samples = [], []
    for path in generator.sample(sorted((folder / 'images/train').glob('*.jpg')), 2):
        image = np.array(Image.open(path))
        label = np.array(Image.open(folder / 'labels/train' / f'{path.stem}.png'))
        top, left = (generator.randrange(size - CROP) for size in label.shape)
        image, label = (x[top : top + CROP, left : left + CROP] for x in (image, label))
        images.append(torch.tensor(image).permute(2, 0, 1))
        data = PixelData(data=torch.tensor(label).long().unsqueeze(0))
        samples.append(SegDataSample(gt_sem_seg=data, metainfo=dict(img_shape=label.shape)))
    return dict(inputs=images, data_samples=samples)


def gradient_norm(model: nn.Module) -> Tensor:
    return torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()


@pytest.mark.slow
@pytest.mark.parametrize('name', MECHANISMS)
def test_twenty_steps_with_two_images_stay_finite(name, street_dir):
    model, generator = segmentor(everywhere(name)), random.Random(0)
    copies = [m for m in model.modules() if isinstance(m, MECHANISMS[name].module)]
    assert len(copies) >= 16
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005)
    for step in range(STEPS):
        batch = model.data_preprocessor(crops(street_dir, generator), training=True)
        losses = model.loss(batch['inputs'], batch['data_samples'])
        loss = sum(value for key, value in losses.items() if 'loss' in key)
        optimizer.zero_grad()
        loss.backward()
        gradients = gradient_norm(model)
        assert loss.isfinite() and gradients.isfinite(), (step, loss, gradients)
        optimizer.step()
