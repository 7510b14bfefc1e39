"""Does an exported network fit a config? It is then put in the place of the config's model."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmattn.engine.runtimes import open_exported
from mmattn.errors import UserError
from mmattn.preflight.config import num_classes


def use_exported(cfg: Config, file: str | Path, device: str | None = None) -> None:
    """Put an exported network in the place of the model of a config.

    Raises:
        UserError: It cannot be opened, or is of another model than the config's.
    """
    meta, _ = open_exported(Path(file))
    for what, found, expected in (
        ('classes', len(meta['classes']), num_classes(cfg)),
        ('preprocessing of images', meta['normalisation'], normalisation(cfg)),
    ):
        if found != expected:
            raise UserError(
                f'{file} does not fit the config: it has {what} {found}, the config {expected}. '
                f'Give the config it was exported with ({meta["config"]})'
            )
    model = cfg.model
    cfg.model = dict(
        type='ExportedSegmentor',
        file=str(file),
        device=device,
        data_preprocessor=model.get('data_preprocessor'),
        test_cfg=model.get('test_cfg'),
    )


def normalisation(cfg: Config) -> dict[str, Any]:
    """How the model of a config has its images normalised."""
    settings = cfg.model.get('data_preprocessor') or {}
    swapped = bool(settings.get('bgr_to_rgb') or settings.get('rgb_to_bgr'))
    values = {key: list(settings.get(key) or ()) for key in ('mean', 'std')}
    return {**values, 'order': 'RGB' if swapped else 'BGR'}
