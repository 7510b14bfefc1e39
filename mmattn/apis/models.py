"""A trained model, ready to predict: its config, its weights, and the names of its classes."""

import inspect
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import load_checkpoint
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS, MODELS
from torch import nn

from mmattn.apis.blame import blame_options
from mmattn.engine.runner import separate_run
from mmattn.engine.runtimes import is_exported
from mmattn.errors import UserError, explain_settings
from mmattn.preflight.checkpoint import check_checkpoint
from mmattn.preflight.config import load_config, num_classes, require_keys
from mmattn.preflight.data_sets import dataset_type, inner_configs
from mmattn.preflight.exported import use_exported
from mmattn.preflight.heads import check_inference
from mmattn.preflight.model import frames_of_clip, look_at_model
from mmattn.preflight.pretrained import drop_pretrained
from mmattn.visualization.panels import class_colours


def load_model(
    config: str | Path,
    checkpoint: str | Path,
    *,
    device: str | torch.device = 'cpu',
    cfg_options: dict[str, Any] | None = None,
) -> nn.Module:
    """Build the model of a config with the weights of a checkpoint, in evaluation mode.

    The data of the config need not be there. What mmengine changes in a process for reading
    checkpoints safely stays changed (`mmattn.engine.checkpoints.install`).

    Args:
        config: config file.
        checkpoint: weights of that config's model: a file, what `mmattn export` made of it, or the
            name of a model that MMSegmentation publishes, which is downloaded.
        device: where the model shall be, such as `cpu` or `cuda:1`.
        cfg_options: overrides, dotted key to value.

    Returns:
        The model, and in its attributes ``cfg``, the config, and ``dataset_meta``, with ``classes``
        (a name for each class), ``palette`` (an RGB colour for each) and ``reduce_zero_label``
        (whether label files of the data count classes from 1, with 0 for void).

    Raises:
        UserError: Whatever can be known to be wrong with config, checkpoint or device.
    """
    device = _checked_device(device)
    with separate_run(), blame_options(config, cfg_options):
        cfg = load_config(config, cfg_options)
        require_keys(cfg, config, 'model')
        if is_exported(checkpoint):
            return _load_exported(cfg, checkpoint, device)
        drop_pretrained(cfg)
        shapes = look_at_model(cfg).shapes
        try:
            check_checkpoint(checkpoint, cfg, shapes)
        except OSError as error:  # no permission, no network
            raise UserError(f'checkpoint {checkpoint} cannot be read: {error}') from error
        with explain_settings():
            model = MODELS.build(cfg.model)
        loaded = load_checkpoint(model, str(checkpoint), map_location='cpu', logger='silent')
    model = revert_sync_batchnorm(model)  # the same arithmetic in evaluation, on every device
    model.cfg = cfg
    model.dataset_meta = dataset_meta(cfg, loaded.get('meta'))
    return model.to(device).eval()


def _load_exported(cfg: Config, file: str | Path, device: torch.device) -> nn.Module:
    use_exported(cfg, file, str(device))
    model = MODELS.build(cfg.model)
    check_inference(model)
    model.cfg = cfg
    model.dataset_meta = {**model.meta, 'classes': tuple(model.meta['classes'])}
    return model.eval()


def dataset_meta(cfg: Config, checkpoint_meta: Any = None) -> dict[str, Any]:
    """Names and colours of a model's classes, as `load_model` returns them.

    From the checkpoint, which knows what it was trained on, else from the data set of the config.
    Classes that neither of them names are called by their numbers.
    """
    known = _dataset_of(cfg)
    count = num_classes(cfg)
    for meta in (saved_classes(checkpoint_meta), known):
        classes = meta.get('classes')
        if isinstance(classes, list | tuple) and count in (None, len(classes)):
            break
    else:
        meta, classes = {}, range(count or 0)
    palette = meta.get('palette') or ()
    palette = palette if len(palette) == len(classes) else None
    reduced = meta.get('reduce_zero_label', known.get('reduce_zero_label', False))
    return {
        'classes': tuple(str(name) for name in classes),
        'palette': class_colours(palette, len(classes)).tolist(),
        'reduce_zero_label': bool(reduced),
    }


def saved_classes(checkpoint_meta: Any) -> dict[str, Any]:
    """What the ``meta`` of a checkpoint says of classes and palette; empty for nothing."""
    meta = checkpoint_meta if isinstance(checkpoint_meta, dict) else {}
    # Checkpoints of mmseg before 1.0 have the names at the top.
    older = {'classes': meta.get('CLASSES'), 'palette': meta.get('PALETTE')}
    known = meta.get('dataset_meta') or older
    return known if isinstance(known, dict) and known.get('classes') else {}


def refuse_clips(model: nn.Module, what: str) -> None:
    """Raise UserError where a model needs several frames together, and something takes one.

    Args:
        model: Which.
        what: That takes one image, with its verb.
    """
    frames = frames_of_clip(model)
    if frames > 1:
        raise UserError(f'the model attends over clips of {frames} frames, and {what} one image')


def image_pipeline(cfg: Config) -> list[dict]:
    """The steps that test images go through: those of the test data, or the config's variable.

    Raises:
        UserError: The config has neither.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    _, first = next(inner_configs(dataset, 'test_dataloader.dataset'))
    pipeline = first.get('pipeline') or cfg.get('test_pipeline')
    if not pipeline:
        raise UserError(
            'the config does not say how images are prepared: it has neither '
            'test_dataloader.dataset.pipeline nor test_pipeline'
        )
    return pipeline


def _dataset_of(cfg: Config) -> dict[str, Any]:
    """What the data set of a config says of its classes; its files are not looked at."""
    for loader in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
        dataset = (cfg.get(loader) or {}).get('dataset')
        for _, inner in inner_configs(dataset, loader) if dataset else ():
            if issubclass(dataset_type(inner), BaseSegDataset):
                prefix = {'data_prefix': {'img_path': ''}}  # None for labels would be refused
                quick = {'pipeline': [], 'lazy_init': True, 'test_mode': False, **prefix}
                try:
                    with explain_settings():
                        return dict(DATASETS.build({**inner, **quick}).metainfo)
                except UserError as error:
                    # Some classes of mmseg want their files there, even if they do not read them.
                    if not isinstance(error.__cause__, AssertionError):
                        raise
                    return _meta_without_files(inner)
    return {}


def _meta_without_files(settings: dict) -> dict[str, Any]:
    kind = dataset_type(settings)
    usual = inspect.signature(kind).parameters.get('reduce_zero_label')
    usual = usual.default if usual else False
    given = settings.get('reduce_zero_label', usual)
    return {**kind._load_metainfo(settings.get('metainfo')), 'reduce_zero_label': given}


def _checked_device(device: str | torch.device) -> torch.device:
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition('\n')[0]
        raise UserError(
            f'device {device} cannot be used ({reason}): give cpu, or a device that '
            'torch finds here, such as cuda:0'
        ) from error
    return device
