"""Does a checkpoint fit a config? Asked before a run, because mmengine only warns."""

import re
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from mmattn.errors import UserError
from mmattn.preflight.config import num_classes
from mmattn.preflight.finite import refuse_non_finite

# Needed to go on training; best_*.pth and published weights hold neither.
TRAINING_STATE = ('optimizer', 'message_hub')


def latest_checkpoint(work_dir: str | Path) -> Path:
    """The checkpoint to resume from; work dirs may be moved, and files in them deleted by hand."""
    work_dir = Path(work_dir)
    named = work_dir / 'last_checkpoint'
    if named.is_file():
        last = work_dir / Path(named.read_text().strip()).name
        if last.is_file():
            return last
    saved = run_checkpoints(work_dir)
    if not saved:
        raise UserError(
            f'nothing to resume in {work_dir}: it holds no iter_*.pth. Start without --resume, or '
            'name the checkpoint: --resume CHECKPOINT'
        )
    return saved[-1]


def run_checkpoints(work_dir: str | Path) -> list[Path]:
    """The checkpoints that a run wrote at its intervals, oldest first."""
    found = [
        (int(match[1]), file)
        for file in Path(work_dir).glob('*.pth')
        if (match := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', file.name))
    ]
    return [file for _, file in sorted(found)]


def check_checkpoint(
    path: str | Path, cfg: Config, shapes: dict[str, tuple[int, ...]], *, resume: bool = False
) -> None:
    """Raise UserError unless every weight of the model is in the checkpoint, in its shape.

    Auxiliary heads serve training only: without `resume` they may be missing or left over.

    Args:
        path: The checkpoint.
        cfg: The config that it is used with.
        shapes: Shape of each entry of the model's state dict.
        resume: Whether training goes on from it.
    """
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
    weights = _weights(path, checkpoint)
    refuse_non_finite(path, weights)
    if resume and any(key not in checkpoint for key in TRAINING_STATE):
        raise UserError(
            f'checkpoint {path} cannot be resumed: it holds weights only, not the state of the '
            'optimizer. Resume from an iter_*.pth, or start a new run from these weights with '
            f'--cfg-options load_from={path}'
        )
    expected = _compared(shapes, resume)
    found = _compared({key: tuple(value.shape) for key, value in weights.items()}, resume)
    differences = _differences(found, expected)
    if differences:
        raise UserError(
            f'checkpoint {path} does not fit the config, it is of {_guess(found, expected, cfg)}. '
            f'{differences}. Give the config it was trained with{_trained_with(checkpoint)}'
        )


def _weights(path: str | Path, checkpoint: Any) -> dict[str, torch.Tensor]:
    """The state dict of a checkpoint, without the prefix that data-parallel models add."""
    weights = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else {}
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise UserError(
            f'checkpoint {path} holds no model weights (no `state_dict`): give a .pth file that a '
            'training run wrote'
        )
    return {key.removeprefix('module.'): value for key, value in weights.items()}


def _compared(
    shapes: dict[str, tuple[int, ...]], with_auxiliary: bool
) -> dict[str, tuple[int, ...]]:
    """The entries that must be equal."""
    ignored = (
        r'.*num_batches_tracked' if with_auxiliary else r'.*num_batches_tracked|auxiliary_head\..*'
    )
    return {key: shape for key, shape in shapes.items() if not re.fullmatch(ignored, key)}


def _differences(found: dict, expected: dict) -> str:
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
    name = re.sub(r'_\d{8}_\d{6}$', '', checkpoint.get('meta', {}).get('experiment_name', ''))
    return f' ({name})' if name else ''
