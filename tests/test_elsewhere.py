"""docs/elsewhere.md: its examples, with the real packages where they are installed."""

import re
from pathlib import Path

import pytest
import torch

from mmattn.attention import CBAM, SCSE, CrissCross

GUIDE = (Path(__file__).resolve().parents[1] / 'docs/elsewhere.md').read_text()
PLAIN, TIMM, SMP = re.findall(r'```python\n(.*?)```', GUIDE, re.S)


def require(package: str) -> None:
    try:
        __import__(package)
    except (ImportError, RuntimeError) as error:  # a torchvision for another torch raises the last
        pytest.skip(f'{package} cannot be imported: {error}')


def trains(model: torch.nn.Module, *mechanisms: type) -> None:
    """A step of training reaches every parameter of the mechanisms."""
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    found = [module for module in model.modules() if isinstance(module, mechanisms)]
    assert {type(module) for module in found} == set(mechanisms)
    for module in found:
        assert all(parameter.grad is not None for parameter in module.parameters())


def test_modules_stand_alone():
    names = {}
    exec(PLAIN, names)
    assert names['block'](torch.randn(1, 3, 5, 5)).shape == (1, 64, 5, 5)
    assert {p.device.type for p in names['large'].parameters()} == {'meta'}


def test_a_mechanism_is_the_attention_of_timms_blocks():
    require('timm')
    names = {}
    exec(TIMM, names)
    model = names['model']
    assert sum(isinstance(module, CBAM) for module in model.modules()) == 8
    trains(model, CBAM)


def test_timm_gives_device_and_dtype():
    require('timm')
    import timm

    options = dict(block_args=dict(attn_layer=CBAM), device='meta', dtype=torch.float64)
    model = timm.create_model('resnet18', **options)
    assert {(p.device.type, p.dtype) for p in model.layer1[0].se.parameters()} == {
        ('meta', torch.float64)
    }


def test_mechanisms_stand_in_encoders_and_decoders_of_smp():
    require('segmentation_models_pytorch')
    names = {}
    imports, encoder, both = SMP.split('\nunet = ')
    exec(imports, names)
    exec(f'unet = {encoder}', names)
    trains(names['unet'], CBAM)
    exec(f'unet = {both}', names)
    trains(names['unet'], CrissCross, SCSE)
    assert names['unet'](torch.randn(2, 3, 64, 64)).shape == (2, 8, 64, 64)
