"""docs/convert.md: its commands, and the settings in them, which published networks need."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from mmattn.apis.layouts import LAYOUTS
from mmattn.apis.layouts.fit import differing_settings
from mmattn.apis.layouts.plan import translate
from mmattn.cli import convert, test, train
from mmattn.models import AlignedHRNet
from mmattn.preflight.config import load_config
from mmattn.preflight.pretrained import drop_pretrained
from tests.apis.original_layouts import (
    OriginalResNet,
    ann_network,
    below,
    ccnet_head,
    conv,
    fla_network,
    merged,
    norm,
    ocr_heads,
    published,
    side_output,
)

REPO = Path(__file__).resolve().parents[2]
GUIDE = (REPO / 'docs/convert.md').read_text()
COMMANDS = [shlex.split(line) for line in re.findall(r'^\$ mmattn (.*)$', GUIDE, re.M)]
PARSED = {'convert': convert, 'test': test, 'train': train}


def parsed(command: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    PARSED[command[0]].add_arguments(parser)
    return parser.parse_args(command[1:])


def danet_head() -> dict:
    projections = [conv(f'sa.{name}_conv', 2, 16, bias=True) for name in ('query', 'key')]
    layers = [
        merged(conv(f'{name}.0', 16, source, 3), norm(f'{name}.1', 16))
        for name, source in (('conv5a', 64), ('conv5c', 64), ('conv51', 16), ('conv52', 16))
    ]
    classifiers = [conv(f'conv{i}.1', 5, 16, bias=True) for i in (6, 7, 8)]
    gammas = {'sa.gamma': torch.zeros(1), 'sc.gamma': torch.zeros(1)}
    value = conv('sa.value_conv', 16, 16, bias=True)
    return merged(*projections, value, *layers, *classifiers, gammas)


def network(source: str) -> dict:
    """Shapes of the published networks, under the names of their authors."""
    deep = dict(depth=101, stem_channels=(2, 2, 4))
    if source == 'hrnet-ocr':
        with torch.device('meta'):
            cfg = load_config('configs/ocrnet/ocrnet_hr48_4xb2-80k_cityscapes-512x1024.py')
            backbone = AlignedHRNet(extra=cfg.model.backbone.extra, norm_cfg=dict(type='BN'))
            heads = ocr_heads(48 + 96 + 192 + 384, k=32)
            heads |= {k: v.new_empty(19, *v.shape[1:]) for k, v in heads.items() if len(v) == 5}
            return merged(backbone.state_dict(), heads)
    parts = {
        'danet': lambda: (
            below('pretrained.', OriginalResNet(depth=101, stem_channels=(1, 1, 2)).state_dict()),
            below('head.', danet_head()),
        ),
        'ccnet': lambda: (
            OriginalResNet('flat', **deep).state_dict(),
            below('head.', ccnet_head()),
            side_output(),
        ),
        'ann': lambda: (
            below('backbone.', OriginalResNet('prefix', **deep).state_dict()),
            ann_network(),
        ),
        'flanet': lambda: (
            below('backbone.', OriginalResNet('sequential', **deep).state_dict()),
            fla_network(),
        ),
    }
    return published(merged(*parts[source]()))


def test_commands_of_the_guide_are_understood():
    assert len(COMMANDS) >= 9
    for command in COMMANDS:
        args = parsed(command)
        assert args.config is None or (REPO / args.config).is_file()


CONVERSIONS = [c for c in COMMANDS if c[0] == 'convert' and '--config' in c]


def test_every_network_has_a_command():
    networks = [name for name, layout in LAYOUTS.items() if not layout.backbone_only]
    assert [parsed(command).source for command in CONVERSIONS] == networks[1:]  # without mmseg


@pytest.mark.parametrize('command', CONVERSIONS, ids=lambda command: command[2])
def test_settings_of_the_guide_are_those_that_the_published_weights_need(command):
    args = parsed(command)
    source, state = args.source, network(args.source)
    plan = LAYOUTS[source].read(state)
    cfg = load_config(args.config, args.cfg_options)
    assert differing_settings(plan.settings, cfg) == {}
    needed = differing_settings(plan.settings, load_config(args.config))
    assert set(args.cfg_options) - set(needed) <= {'model.backbone.multi_grid'}
    drop_pretrained(cfg)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    done = translate(plan, state)
    assert not done.missing and not done.unexpected
    for key, shape in shapes.items():
        if not key.endswith('num_batches_tracked') and key in done.state:
            assert done.state[key].shape == shape, key
    required = {key for key in shapes if not key.startswith('auxiliary_head.')}
    assert not {key for key in required - set(done.state) if 'num_batches' not in key}
    assert not set(done.state) - set(shapes)
