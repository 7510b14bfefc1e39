"""Do converted weights fit a config, and does it compute what they were trained in?"""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmattn.apis.layouts.plan import Layout, Plan, Settings, State
from mmattn.engine.runner import separate_run
from mmattn.errors import UserError
from mmattn.preflight.checkpoint import compared, differences
from mmattn.preflight.config import load_config, require_keys
from mmattn.preflight.model import look_at_model
from mmattn.preflight.pretrained import drop_pretrained

_PLUGGED = ('plugins', 'fusion', 'conv2')
# What backbones and heads take where a config says nothing.
_DEFAULTS = {
    'stem_channels': 64,
    'base_channels': 64,
    'contract_dilation': False,
    'align_corners': False,
    'aux_channels': 64,
}


def format_options(settings: Settings) -> str:
    """Settings as ``--cfg-options`` takes them."""
    return ' '.join(f'{key}={_format(value)}' for key, value in settings.items())


def _format(value: Any) -> str:
    return f'"[{",".join(map(str, value))}]"' if isinstance(value, list) else str(value)


def lacking_settings(
    layout: Layout,
    plan: Plan,
    state: State,
    config: str | Path,
    cfg_options: dict[str, Any] | None,
) -> Settings:
    """The settings that a config lacks, whose model the weights fill.

    Args:
        layout: Of the file.
        plan: Of the file.
        state: The weights in our layout.
        config: The config, or the name of one of ours.
        cfg_options: Overrides of it, dotted key to value.

    Returns:
        What the config must say besides to compute what the weights were trained in; dotted key to
        value.

    Raises:
        UserError: A weight is missing in the model or in the file, or is of another shape there.
            Auxiliary heads need not fit.
    """
    with separate_run():
        cfg = load_config(config, cfg_options)
        require_keys(cfg, config, 'model')
        drop_pretrained(cfg)
        if layout.backbone_only:  # plugins keep their own initial values
            backbone = cfg.model.get('backbone') or {}
            for key in _PLUGGED:
                backbone.pop(key, None)
        shapes = look_at_model(cfg).shapes
    settings = differing_settings(plan.settings, cfg)
    if layout.backbone_only:
        shapes = {
            key.removeprefix('backbone.'): shape
            for key, shape in shapes.items()
            if key.startswith('backbone.')
        }
    found = {key: tuple(value.shape) for key, value in state.items()}
    misfit = differences(compared(found, False), compared(shapes, False))
    if misfit:
        options = f'--cfg-options {format_options(settings)}' if settings else 'another config'
        raise UserError(f'the weights do not fit {config}. {misfit}. They need {options}')
    return settings


def differing_settings(settings: Settings, cfg: Config) -> Settings:
    """Those of the settings that a config does not have; a backbone of ours stands for mmseg's."""
    lacking = {}
    for place, value in settings.items():
        given = _setting(cfg, place)
        if place == 'model.backbone.type' and str(given).startswith('Attn'):
            value = f'Attn{value}'
        if place.startswith('model.auxiliary_head.') and not cfg.model.get('auxiliary_head'):
            continue
        given = list(given) if isinstance(given, tuple) else given
        if given != value:
            lacking[place] = value
    return lacking


def _setting(cfg: Config, place: str) -> Any:
    """What a config says at a dotted place; the default where it says nothing."""
    node, name = cfg, place.rpartition('.')[2]
    for key in place.split('.'):
        if isinstance(node, list | tuple):
            node = node[int(key)] if key.isdigit() and int(key) < len(node) else None
        else:
            node = node.get(key) if isinstance(node, dict | Config) else None
        if node is None:
            return _DEFAULTS.get(name)
    return node
