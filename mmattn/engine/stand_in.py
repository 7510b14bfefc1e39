"""What was measured to be faster, in the place of a segmentor's network."""

import logging
from collections.abc import Callable

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmattn.engine.agreement import Agreement
from mmattn.engine.candidates import CANDIDATES
from mmattn.engine.choices import AGAIN, conditions, file_of, key, read, versions
from mmattn.engine.inference import LeanInference
from mmattn.engine.runtimes import Run
from mmattn.errors import UserError, first_line

_StandIn = Callable[[LeanInference, Tensor], Tensor | None]


class Chosen:
    """Stands in for the network of a segmentor where something was measured to be faster.

    Its first logits are held against those of the modules, input for input; where 1 % of their
    classes differ, or it cannot run, the modules go on, with a warning. On a CPU, which gains
    little from batches, those for which nothing was measured take what was for one image.

    Args:
        settings: The model's config.
    """

    def __init__(self, settings: dict) -> None:
        self._settings = settings
        self._found: dict[torch.Size, _StandIn | None] = {}

    def __call__(self, segmentor: LeanInference, inputs: Tensor) -> Tensor | None:
        """(N, 3, H, W) to logits (N, C, h, w); None for a size that has no faster one."""
        run = self._run_for(segmentor, inputs)
        if run or len(inputs) == 1 or inputs.device.type != 'cpu':
            return run(segmentor, inputs) if run else None
        logits = []
        for image in inputs.split(1):
            logits.append(self(segmentor, image))
            if logits[-1] is None:
                return None
        return torch.cat(logits)

    def _run_for(self, segmentor: LeanInference, inputs: Tensor) -> _StandIn | None:
        if inputs.shape not in self._found:
            self._found[inputs.shape] = _find(self._settings, segmentor, inputs)
        return self._found[inputs.shape]


def _find(settings: dict, segmentor: LeanInference, inputs: Tensor) -> _StandIn | None:
    try:
        held = conditions(settings, inputs)
        if not file_of(held).exists():
            return None
        record = read(file_of(held))
        if record['versions'] != versions():
            raise UserError(f'{_changed(record["versions"])}; {AGAIN}')
        name = record['choice']
        if name == 'optimized':
            return _left_to_the_modules
        run = CANDIDATES[name](segmentor, inputs, key(held))
    except Exception as error:  # of whatever runtime
        _tell(f'what was measured to be faster here is not used: {_reason(error)}')
        return None
    count, _, height, width = inputs.shape
    several = f'{count} of ' if count > 1 else ''
    _tell(
        f'{several}{height}x{width}: {name}, measured to be {record["speed_up"]:.2f} times as fast '
        'here (mmattn tune --show)',
        level=logging.INFO,
    )
    return _Checked(name, run)


def _left_to_the_modules(segmentor: LeanInference, inputs: Tensor) -> None:
    """They were measured to be the fastest."""


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
        self._agreement.add(_classes(logits), _classes(expected))
        if not self._agreement.fails:
            return logits  # which are held against those of the plain model, too
        _tell(
            f'{self._name} gives {self._agreement.share:.1%} of the classes of the modules '
            'themselves, which go on instead'
        )
        self._run = None
        return expected


def _classes(logits: Tensor) -> Tensor:
    """Of each pixel; one logit tells two classes apart."""
    return logits.argmax(1) if logits.shape[1] > 1 else logits > 0


def _changed(before: dict[str, str | None]) -> str:
    """What became of the versions that a choice was measured with."""
    for name, now in versions().items():
        if before.get(name) != now:
            then = _with(name, before.get(name))
            return f'it was measured {then}, and now runs {_with(name, now)}'
    return 'it was measured with other versions'


def _with(name: str, number: str | None) -> str:
    return f'with {name} {number}' if number else f'without {name}'


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else first_line(error)


def _tell(text: str, level: int = logging.WARNING) -> None:
    print_log(text, logger='current', level=level)
