"""What was measured to be the fastest for a network on this machine, remembered."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mmcv
import mmseg
import torch
from torch import Tensor

import mmattn
from mmattn.engine.candidates import CANDIDATES, folder
from mmattn.errors import UserError
from mmattn.files import write_atomically
from mmattn.provenance import device_name

# Settings of a model on which its network does not depend when it predicts.
_WITHOUT_EFFECT = {'auxiliary_head', 'data_preprocessor', 'init_cfg', 'loss_decode', 'pretrained'}
_WITHOUT_EFFECT |= {'sampler', 'test_cfg', 'train_cfg'}
AGAIN = 'measure again with mmattn tune'


def conditions(settings: dict, inputs: Tensor) -> dict[str, Any]:
    """What a choice holds for.

    Args:
        settings: The model's config; that of what averages over views of a model will do.
        inputs: Of the network, (N, 3, H, W).
    """
    text = json.dumps(_effective(settings.get('module', settings)), sort_keys=True, default=str)
    return {
        'model': _digest(text),
        'inputs': list(inputs.shape),
        'device': f'{inputs.device.type}, {device_name(inputs.device.type)}',
        'threads': torch.get_num_threads(),
    }


def versions() -> dict[str, str | None]:
    """Of what computes; another version may have another choice."""
    found = {'mmattn': mmattn.__version__, 'torch': torch.__version__}
    found |= {'mmcv': mmcv.__version__, 'mmseg': mmseg.__version__, 'openvino': None}
    with suppress(PackageNotFoundError):
        found['openvino'] = version('openvino')
    return found


def key(conditions: dict[str, Any]) -> str:
    """All that a network depends on but its weights."""
    return json.dumps([conditions, versions()])


def remember(conditions: dict[str, Any], choice: str, facts: dict[str, Any]) -> Path:
    """Write a choice down, in the place of an earlier one.

    Args:
        conditions: What it holds for.
        choice: One of `CANDIDATES`.
        facts: What else shall be known of it, such as ``speed_up`` over the modules themselves.
    """
    record = {'conditions': conditions, 'versions': versions(), 'choice': choice, **facts}
    file = file_of(conditions)
    write_atomically(file, json.dumps(record, indent=2).encode())
    return file


def remembered() -> Iterator[dict[str, Any]]:
    """All choices that can be read."""
    for file in sorted(folder().glob('*.json')):
        try:
            yield read(file)
        except (OSError, UserError):
            continue


def forget() -> None:
    """Remove all choices, and the networks that were written for them."""
    shutil.rmtree(folder(), ignore_errors=True)


def read(file: Path) -> dict[str, Any]:
    """A choice.

    Raises:
        UserError: It is damaged.
        OSError: It cannot be read.
    """
    try:
        record = json.loads(file.read_text())
        record['speed_up'] = float(record['speed_up'])
        whole = (
            file.name == file_of(record['conditions']).name
            and record['choice'] in CANDIDATES
            and isinstance(record['versions'], dict)
        )
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise UserError(f'{file} is damaged; {AGAIN}')
    return record


def file_of(conditions: dict[str, Any]) -> Path:
    """Where a choice is remembered, if there is one."""
    return folder() / f'{_digest(json.dumps(conditions))}.json'


def _effective(node: Any) -> Any:
    """Settings without those that have no effect."""
    if isinstance(node, dict):
        kept = node.keys() - _WITHOUT_EFFECT
        return {name: _effective(node[name]) for name in kept}
    return [_effective(each) for each in node] if isinstance(node, list | tuple) else node


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
