"""Does a checkpoint fit a config? Asked before a run, because mmengine only warns."""

import logging
import re
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader

from mmattn.engine.checkpoints import check_whole
from mmattn.engine.finite import refuse_non_finite
from mmattn.engine.record import run_checkpoints
from mmattn.errors import UserError
from mmattn.preflight.config import num_classes
from mmattn.preflight.pretrained import state_fit
from mmattn.preflight.resume import changed_settings, check_training_state


def latest_checkpoint(work_dir: str | Path) -> Path:
    """The newest intact checkpoint of a run; work dirs may be moved, and files deleted by hand.

    Raises:
        UserError: There is none, or all are damaged.
    """
    work_dir = Path(work_dir)
    candidates = run_checkpoints(work_dir)[::-1]
    if not candidates:
        raise UserError(
            f'nothing to resume in {work_dir}: it holds no iter_*.pth. Start without --resume, or '
            'name the checkpoint: --resume CHECKPOINT'
        )
    named = _noted(work_dir)
    if named in candidates:  # those after it are of before the run was resumed from an older one
        candidates = candidates[candidates.index(named) :]
    damages = []
    for checkpoint in candidates:
        try:
            check_whole(checkpoint)
        except UserError as error:
            damages.append(str(error))
            continue
        for damage in damages:
            print_log(f'{damage} Going on from {checkpoint.name}', 'current', logging.WARNING)
        return checkpoint
    raise UserError(
        f'nothing to resume in {work_dir}, all of its checkpoints are damaged: {" ".join(damages)}'
    )


def _noted(work_dir: Path) -> Path | None:
    """The checkpoint that the run noted as its last."""
    try:
        return work_dir / Path((work_dir / 'last_checkpoint').read_text().strip()).name
    except (OSError, ValueError):  # none, or damaged
        return None


def check_checkpoint(
    path: str | Path, cfg: Config, shapes: dict[str, tuple[int, ...]], *, resume: bool = False
) -> str:
    """Raise UserError unless every weight of the model is in the checkpoint, in its shape.

    Auxiliary heads serve training only: without `resume` they may be missing or left over.

    Args:
        path: The checkpoint.
        cfg: The config that it is used with.
        shapes: Shape of each entry of the model's state dict.
        resume: Whether training goes on from it.

    Returns:
        Lines for people: where training goes on, and which settings have changed.
    """
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
    weights = _weights(path, checkpoint)
    refuse_non_finite(path, weights)
    if resume:
        check_training_state(path, checkpoint, cfg)
    expected = compared(shapes, resume)
    found = compared({key: tuple(value.shape) for key, value in weights.items()}, resume)
    misfit = differences(found, expected)
    if misfit:
        raise UserError(
            f'checkpoint {path} does not fit the config, it is of {_guess(found, expected, cfg)}. '
            f'{misfit}. Give the config it was trained with{_trained_with(checkpoint)}'
        )
    return changed_settings(checkpoint, cfg) if resume else ''


def check_start(path: str | Path, shapes: dict[str, tuple[int, ...]]) -> str:
    """What of a model a checkpoint fills that a new run starts from (``load_from``), in one line.

    Raises:
        UserError: Nothing of it, or it is no checkpoint.
    """
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
    weights = _weights(path, checkpoint)
    remedy = 'to train without it, add --cfg-options load_from=None'
    return state_fit(f'load_from {path}', weights, shapes, remedy)


def _weights(path: str | Path, checkpoint: Any) -> dict[str, torch.Tensor]:
    """The state dict of a checkpoint, without the prefix that data-parallel models add."""
    weights = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else {}
    entries = weights.items() if isinstance(weights, dict) else ()
    named = [isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in entries]
    if not named or not all(named):
        raise UserError(
            f'checkpoint {path} holds no model weights (no `state_dict`): give a .pth file that a '
            'training run wrote'
        )
    return {key.removeprefix('module.'): value for key, value in weights.items()}


def compared(
    shapes: dict[str, tuple[int, ...]], with_auxiliary: bool
) -> dict[str, tuple[int, ...]]:
    """The entries that must be equal."""
    ignored = (
        r'.*num_batches_tracked' if with_auxiliary else r'.*num_batches_tracked|auxiliary_head\..*'
    )
    return {key: shape for key, shape in shapes.items() if not re.fullmatch(ignored, key)}


def differences(found: dict, expected: dict) -> str:
    """The first keys of each kind of difference, in words; empty when there is none."""
    kinds = {
        'Of other shapes': [
            f'{key} {found[key]} instead of {shape}'
            for key, shape in expected.items()
            if found.get(key, shape) != shape
        ],
        'Missing': [key for key in expected if key not in found],
        'Not in the model': [key for key in found if key not in expected],
    }
    return '. '.join(
        f'{kind}: {", ".join(keys[:3])}' + (f' and {len(keys) - 3} more' if len(keys) > 3 else '')
        for kind, keys in kinds.items()
        if keys
    )


def _guess(found: dict, expected: dict, cfg: Config) -> str:
    """What the checkpoint most likely is of, if not of this model."""
    changed = {key for key in found | expected if found.get(key) != expected.get(key)}
    if any(key.startswith('backbone.') for key in changed):
        return 'another backbone'
    if changed <= found.keys() & expected.keys():
        sizes = {(found[key][:1], expected[key][:1]) for key in changed}
        if len(sizes) == 1 and (size := sizes.pop())[1] == (num_classes(cfg),):
            return f'a model with {size[0][0]} classes, not {size[1][0]}'
    return 'another decode head'


def _trained_with(checkpoint: dict) -> str:
    """mmengine notes the name of the run: the config's, and the time of its start."""
    meta = checkpoint.get('meta')
    name = meta.get('experiment_name') if isinstance(meta, dict) else None
    name = re.sub(r'_\d{8}_\d{6}$', '', name) if isinstance(name, str) else ''
    return f' ({name})' if name else ''
