"""What was measured to be the fastest on this machine for a network: remembered, and used."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

import mmattn
from mmattn.engine.agreement import Agreement
from mmattn.engine.candidates import CANDIDATES
from mmattn.engine.inference import LeanInference
from mmattn.engine.runtimes import Run
from mmattn.errors import UserError, first_line
from mmattn.files import cache_folder, write_atomically
from mmattn.provenance import device_name

# Settings of a model on which its network does not depend when it predicts.
_WITHOUT_EFFECT = {'auxiliary_head', 'data_preprocessor', 'init_cfg', 'loss_decode', 'pretrained'}
_WITHOUT_EFFECT |= {'sampler', 'test_cfg', 'train_cfg'}
_AGAIN = 'measure again with mmattn tune'


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
        'device': device_name(inputs.device.type),
        'threads': torch.get_num_threads(),
    }


def versions() -> dict[str, str | None]:
    """Of what computes; another version may have another choice."""
    try:
        openvino = version('openvino')
    except PackageNotFoundError:
        openvino = None
    return {'mmattn': mmattn.__version__, 'torch': torch.__version__, 'openvino': openvino}


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
    file = _file(conditions)
    write_atomically(file, json.dumps(record, indent=2).encode())
    return file


def remembered() -> Iterator[dict[str, Any]]:
    """All choices that can be read."""
    for file in sorted(folder().glob('*.json')):
        try:
            yield _read(file)
        except (OSError, UserError):
            continue


def forget() -> None:
    """Remove all choices, and the networks that were written for them."""
    shutil.rmtree(folder(), ignore_errors=True)


def folder() -> Path:
    """Where choices and networks lie."""
    return cache_folder() / 'tuned'


class Chosen:
    """Stands in for the network of a segmentor where something was measured to be faster.

    Its first logits are held against those of the modules, input for input; where 1 % of their
    classes differ, or it cannot run, the modules go on, with a warning.

    Args:
        settings: The model's config.
    """

    def __init__(self, settings: dict) -> None:
        self._settings = settings
        self._found: dict[torch.Size, _Checked | None] = {}

    def __call__(self, segmentor: LeanInference, inputs: Tensor) -> Tensor | None:
        """(N, 3, H, W) to logits (N, C, h, w); None for a size that has no faster one."""
        if inputs.shape not in self._found:
            self._found[inputs.shape] = _find(self._settings, segmentor, inputs)
        run = self._found[inputs.shape]
        return run(segmentor, inputs) if run else None


def _find(settings: dict, segmentor: LeanInference, inputs: Tensor) -> '_Checked | None':
    held = conditions(settings, inputs)
    try:
        record = _read(_file(held))
        if record['versions'] != versions():
            raise UserError(f'{_changed(record["versions"])}; {_AGAIN}')
        name = record['choice']
        if name == 'optimized':
            return None
        run = CANDIDATES[name](segmentor, inputs, key(held))
    except FileNotFoundError:
        return None
    except Exception as error:  # of whatever runtime
        _tell(f'what was measured to be faster here is not used: {_reason(error)}')
        return None
    height, width = inputs.shape[2:]
    _tell(
        f'{height}x{width}: {name}, measured to be {record["speed_up"]:.2f} times as fast here '
        '(mmattn tune --show)',
        level=logging.INFO,
    )
    return _Checked(name, run)


class _Checked:
    def __init__(self, name: str, run: Run) -> None:
        self._name = name
        self._run: Run | None = run
        self._agreement = Agreement()

    def __call__(self, segmentor: LeanInference, inputs: Tensor) -> Tensor | None:
        if self._run is None or self._agreement.holds:
            return self._run and self._run(inputs)
        expected = segmentor.network(inputs)
        try:
            logits = self._run(inputs)
        except Exception as error:  # a compiler, or whatever runtime
            _tell(f'{self._name} cannot run here, and is left out: {_reason(error)}')
            self._run = None
            return expected
        self._agreement.add(logits.argmax(1), expected.argmax(1))
        if not self._agreement.fails:
            return logits  # which are held against those of the plain model, too
        _tell(
            f'{self._name} gives {self._agreement.share:.1%} of the classes of the modules '
            'themselves, which go on instead'
        )
        self._run = None
        return expected


def _read(file: Path) -> dict[str, Any]:
    """A choice.

    Raises:
        UserError: It is none.
        OSError: It cannot be read, or there is none.
    """
    try:
        record = json.loads(file.read_text())
        float(record['speed_up'])
        if record['choice'] in CANDIDATES and {'conditions', 'versions'} <= record.keys():
            return record
    except (ValueError, TypeError, KeyError, AttributeError):  # of other makers, or cut short
        pass
    raise UserError(f'{file} is damaged; {_AGAIN}')


def _file(conditions: dict[str, Any]) -> Path:
    return folder() / f'{_digest(json.dumps(conditions))}.json'


def _effective(node: Any) -> Any:
    """Settings without those that have no effect."""
    if isinstance(node, dict):
        kept = node.keys() - _WITHOUT_EFFECT
        return {name: _effective(node[name]) for name in kept}
    return [_effective(each) for each in node] if isinstance(node, list | tuple) else node


def _changed(before: dict[str, str | None]) -> str:
    """What became of the versions that a choice was measured with."""
    for name, now in versions().items():
        if before.get(name) != now:
            return (
                f'it was measured {_with(name, before.get(name))}, and now runs {_with(name, now)}'
            )
    return 'it was measured with other versions'


def _with(name: str, number: str | None) -> str:
    return f'with {name} {number}' if number else f'without {name}'


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else first_line(error)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _tell(text: str, level: int = logging.WARNING) -> None:
    print_log(text, logger='current', level=level)
