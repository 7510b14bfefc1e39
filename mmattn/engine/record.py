"""The record beside a checkpoint: what it is of, and a checksum that shows damage.

`iter_2000.json` lies beside `iter_2000.pth`. It is written after the checkpoint, so a checkpoint
without one is possible (a kill in between, or a file from elsewhere) and is read unchecked.
"""

import hashlib
import json
import platform
import re
from pathlib import Path
from typing import Any

import mmcv
import mmengine
import mmseg
import numpy as np
import torch
from mmengine.runner import Runner

import mmattn
from mmattn.errors import UserError
from mmattn.files import sha256, write_atomically


def run_checkpoints(work_dir: str | Path) -> list[Path]:
    """The checkpoints that a run wrote at its intervals, oldest first."""
    found = [
        (int(match[1]), file)
        for file in Path(work_dir).glob('*.pth')
        if (match := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', file.name))
    ]
    return [file for _, file in sorted(found)]


def record_path(checkpoint: Path) -> Path:
    return checkpoint.with_suffix('.json')


def write_record(checkpoint: Path, runner: Runner, iteration: int) -> None:
    """Write the record of a checkpoint that was just written.

    Args:
        checkpoint: The file.
        runner: What wrote it; metrics, config, classes and seed are read from it.
        iteration: How many iterations its weights have been trained.
    """
    info = runner.message_hub.runtime_info
    meta = info.get('dataset_meta') or {}
    record = dict(
        file=checkpoint.name,
        size=checkpoint.stat().st_size,
        sha256=sha256(checkpoint),
        iteration=iteration,
        metrics=info.get('metrics_so_far', {}),
        config=runner.cfg.filename and Path(runner.cfg.filename).name,
        config_sha256=hashlib.sha256(runner.cfg.pretty_text.encode()).hexdigest(),
        seed=runner.seed,
        versions=_versions(),
        classes=meta.get('classes'),
        palette=meta.get('palette'),
    )
    _write(record_path(checkpoint), record)


def add_metrics(checkpoint: Path, iteration: int, metrics: dict[str, float]) -> None:
    """Add a validation to the record of the checkpoint of that iteration, if there is one."""
    path = record_path(checkpoint)
    record = _read(path) if path.is_file() else None
    if record and _is_record_of(checkpoint, record) and record['iteration'] == iteration:
        record['metrics'][str(iteration)] = metrics
        _write(path, record)


def remove_record(checkpoint: Path) -> None:
    """Remove the record, as must be done before its checkpoint is written anew."""
    path = record_path(checkpoint)
    if path.is_file() and _is_record_of(checkpoint, _read(path)):
        path.unlink()


def verify(checkpoint: Path) -> None:
    """Raise UserError unless a checkpoint is, to the bit, what its record says was written.

    A file without a record of ours passes.
    """
    path = record_path(checkpoint)
    if not path.is_file():
        return
    record = _read(path)
    if not _is_record_of(checkpoint, record):
        return
    size = checkpoint.stat().st_size
    if record is None:
        reason = f'{path.name}, which holds its checksum, cannot be read'
    elif size != record.get('size'):
        reason = f'it has {size:,} bytes, {record.get("size")} were written'
    elif sha256(checkpoint) != record.get('sha256'):
        reason = f'its sha256 is not the one in {path.name}'
    else:
        return
    raise UserError(
        f'checkpoint {checkpoint} is damaged: {reason}. Take another one; if you changed the file '
        f'yourself, remove {path.name}'
    )


def _write(path: Path, record: dict) -> None:
    text = json.dumps(record, indent=2, default=_plain)
    write_atomically(path, text.encode(), durable=True)


def _read(path: Path) -> Any:
    """What a record holds; None where it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def _is_record_of(checkpoint: Path, record: Any) -> bool:
    """False for the JSON of somebody else; a damaged one counts as ours."""
    return record is None or (isinstance(record, dict) and record.get('file') == checkpoint.name)


def _versions() -> dict[str, str]:
    packages = (mmattn, torch, mmengine, mmcv, mmseg, np)
    versions = {package.__name__: str(package.__version__) for package in packages}
    return {'python': platform.python_version(), **versions}


def _plain(value: Any) -> Any:
    """What JSON does not know: arrays and numbers of numpy."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f'{type(value).__name__} does not go into a record')
