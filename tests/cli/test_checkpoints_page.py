"""The table of published weights is up to date, and the weights fit the configs that it names."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmattn.benchmarks.models import criss_cross_of_mmcv
from mmattn.cli.checkpoints_page import METHODS, MODEL_ZOO, published_weights, render_checkpoints
from mmattn.preflight.config import load_config
from mmattn.preflight.pretrained import drop_pretrained

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / 'docs/checkpoints.md'
PAIRS = {config: name for config, name, *_ in published_weights(REPO)}
# One model of each method by default, as they take seconds.
DEFAULT = re.compile(r'/\w+_(r50-d8|hr18)_[\w-]+_cityscapes-512x1024')


def test_docs_hold_what_the_command_writes():
    assert PAGE.read_text() == render_checkpoints(REPO), 'run python tools/zoo.py'


def test_every_config_of_a_published_recipe_is_in_the_table():
    ours = {
        f'{method}/{file.name}'
        for method in METHODS
        for file in (REPO / 'configs' / method).glob('*.py')
        if 'camvid' not in file.name and 'toy' not in file.name
    }
    assert ours - PAIRS.keys() == {
        f'ocrnet/ocrnet_r50-d8_{name}.py'
        for name in (
            '4xb2-80k_cityscapes-512x1024',
            '4xb2-80k_cityscapes-769x769',
            '4xb4-160k_ade20k-512x512',
        )
    }


@pytest.mark.parametrize(
    ('config', 'name'),
    [
        pytest.param(*pair, marks=() if DEFAULT.search(pair[0]) else pytest.mark.slow, id=pair[0])
        for pair in PAIRS.items()
    ],
)
def test_models_are_alike(config, name):
    theirs = Config.fromfile(MODEL_ZOO / METHODS[config.split('/')[0]] / f'{name}.py').model
    ours = load_config(f'configs/{config}').model
    with criss_cross_of_mmcv():
        assert shapes(ours) == shapes(theirs)
    assert ours.test_cfg == theirs.test_cfg
    for key in ('mean', 'std', 'bgr_to_rgb'):
        assert ours.data_preprocessor[key] == theirs.data_preprocessor[key]
    for key in ('dilations', 'strides', 'contract_dilation', 'style'):
        assert ours.backbone.get(key) == theirs.backbone.get(key)
    heads = [x if isinstance(x, list) else [x] for x in (ours.decode_head, theirs.decode_head)]
    for our_head, their_head in zip(*heads, strict=True):
        for key in ('align_corners', 'recurrence', 'concat_input', 'query_scales', 'num_classes'):
            if key in our_head and key in their_head:
                assert our_head[key] == their_head[key], key


def shapes(settings) -> dict[str, tuple[int, ...]]:
    cfg = Config(dict(model=settings))
    drop_pretrained(cfg)
    with torch.device('meta'):
        state = MODELS.build(cfg.model).state_dict()
    return {key: tuple(value.shape) for key, value in state.items()}
