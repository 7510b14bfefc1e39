"""The models of mmattn and their twins of mmseg, with the same weights."""

import copy
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mmcv
import torch
from mmengine.config import Config
from mmengine.registry import MODELS as REGISTRY
from mmengine.structures import PixelData
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.decode_heads import cc_head
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmattn.benchmarks import Size
from mmattn.preflight.config import heads_of, load_config
from mmattn.preflight.cost import build_without_weights

# Heads of ours -> mmseg's, which take the same arguments and state dicts.
TWINS = {
    'DANetHead': 'DAHead',
    'CCNetHead': 'CCHead',
    'ANLHead': 'ANNHead',
    'GCNetHead': 'GCHead',
    'OCRNetHead': 'OCRHead',
    'BandedFCNHead': 'FCNHead',
}
METHODS = ('danet', 'ccnet', 'anl', 'gcnet', 'ocrnet', 'fla')
INFERENCE = '{0}/{0}_r50-d8_4xb4-160k_ade20k-512x512.py'  # of each method, in configs
TRAINING = 'camvid_cpu/{0}_r18-d8_1xb8-1200it_camvid-180x240.py'


def has_twin(cfg: Config) -> bool:
    """Whether mmseg has the heads that a model predicts with, too."""
    heads = [head for place, head in heads_of(cfg.model) if 'decode_head' in place]
    return all(head['type'] in TWINS for head in heads)


def twin_of(cfg: Config) -> Config:
    """The config with mmseg's heads."""
    cfg = copy.deepcopy(cfg)
    for _, head in heads_of(cfg.model):
        head['type'] = TWINS.get(head['type'], head['type'])
    return cfg


@contextmanager
def criss_cross_of_mmcv() -> Iterator[None]:
    """Have mmseg's CCHead find mmcv's criss-cross attention, which is plain PyTorch, also where
    mmcv has no compiled operators and therefore hides it."""
    missing = cc_head.CrissCrossAttention is None
    if missing:
        path = Path(mmcv.__file__).parent / 'ops' / 'cc_attention.py'
        spec = importlib.util.spec_from_file_location('mmcv_cc_attention', path)
        module = importlib.util.module_from_spec(spec)
        registered = REGISTRY.module_dict.pop('CrissCrossAttention', None)  # it registers itself
        spec.loader.exec_module(module)
        cc_head.CrissCrossAttention = module.CrissCrossAttention
    try:
        yield
    finally:
        if missing:
            cc_head.CrissCrossAttention = None
            if registered is not None:
                REGISTRY.module_dict['CrissCrossAttention'] = registered


def build_pair(cfg: Config, device: str, head_only: bool = False) -> dict[str, nn.Module]:
    """Ours, as ``mmattn``, and where there is one its twin of the same weights, as ``mmseg``.

    Args:
        cfg: Config of ours.
        device: Where they shall be.
        head_only: Build the (last) decode head alone.
    """
    ours = _build(cfg, head_only)
    _fill(ours)
    pair = {'mmattn': ours}
    if has_twin(cfg):
        with criss_cross_of_mmcv():
            pair = {'mmseg': _build(twin_of(cfg), head_only), **pair}
        pair['mmseg'].load_state_dict(ours.state_dict(), strict=True)
    return {name: model.to(device) for name, model in pair.items()}


def _build(cfg: Config, head_only: bool) -> nn.Module:
    if not head_only:
        return build_without_weights(cfg)
    *_, head = (head for place, head in heads_of(cfg.model) if 'decode_head' in place)
    return MODELS.build(head)


@torch.no_grad()
def _fill(model: nn.Module) -> None:
    """Gates that begin at 0 would hide what their blocks compute; scores stay moderate, and the
    branches of residual blocks smaller than what they are added to, as in trained networks: else
    each block doubles a difference in rounding."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if 'gamma' in name:
            parameter.fill_(0.5)
        elif parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter)
    for block in model.modules():
        if isinstance(block, BasicBlock | Bottleneck):
            last = block.norm2 if isinstance(block, BasicBlock) else block.norm3
            last.weight.fill_(0.2)


def load(pattern: str, method: str) -> Config:
    """The config of a method."""
    return load_config(pattern.format(method))


def batch(images: int, size: Size, num_classes: int | None = None) -> dict:
    """Random images, uint8, as data loaders give them; with labels of so many classes."""
    generator = torch.Generator().manual_seed(0)
    data: dict = {'inputs': [], 'data_samples': []}
    for _ in range(images):
        data['inputs'].append(torch.randint(256, (3, *size), generator=generator).byte())
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size))
        if num_classes:
            label = torch.randint(num_classes, (1, *size), generator=generator)
            sample.gt_sem_seg = PixelData(data=label)
        data['data_samples'].append(sample)
    return data
