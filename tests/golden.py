"""Reading of the reference vectors, and the comparison with their tolerances."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

Arrays = dict[str, Tensor]


class Case:
    """One reference case: its arguments, inputs, parameters, outputs and input gradients."""

    def __init__(self, folder: Path, name: str) -> None:
        with np.load(folder / f'{name}.npz') as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        self.params = {
            key.removeprefix('param/'): value
            for key, value in arrays.items()
            if key.startswith('param/')
        }
        self.inputs = _in_order(arrays, 'x')
        self.outputs = _in_order(arrays, 'y')
        self.weights = _in_order(arrays, 'g')
        self.gradients = _in_order(arrays, 'gx')
        calls = json.loads((folder / 'cases.json').read_text())[name]['calls']
        self.args = calls[0].get('args', [])
        self.kwargs = calls[0].get('kwargs', {})
        self.text = calls[0].get('text', '')


def _in_order(arrays: Arrays, name: str) -> list[Tensor]:
    keys = [name] + [f'{name}{i}' for i in (2, 3)]
    return [arrays[key] for key in keys if key in arrays]


def check(
    case: Case,
    module: nn.Module,
    state: Arrays,
    forward: Callable[..., Tensor | list[Tensor]] | None = None,
) -> None:
    """Load ``state`` strictly and compare outputs and input gradients in float64 and float32."""
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert all(key.endswith('num_batches_tracked') for key in missing), missing
    module.eval()
    for dtype, output_bound, gradient_bound in (
        (torch.float64, 2e-6, 2e-6),
        (torch.float32, 1e-5, 5e-5),
    ):
        module.to(dtype)
        inputs = [x.to(dtype).requires_grad_() for x in case.inputs]
        outputs = (forward or module)(*inputs)
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        loss = sum((y * g.to(dtype)).sum() for y, g in zip(outputs, case.weights, strict=True))
        gradients = torch.autograd.grad(loss, inputs)
        _compare(outputs, case.outputs, output_bound)
        _compare(gradients, case.gradients, gradient_bound)


def _compare(actual: list[Tensor], expected: list[Tensor], bound: float) -> None:
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        largest = e.abs().max().item()
        # Errors of values far below 1 are judged by their own size.
        limit = bound * max(1.0, largest) if largest > 0.2 else 1e-5 * largest
        assert (a.double() - e.double()).abs().max().item() < limit


def rename(params: Arrays, *pairs: tuple[str, str]) -> Arrays:
    """Replace prefixes of parameter names; the longest given prefix of a name wins."""
    renamed = {}
    for key, value in params.items():
        fitting = [pair for pair in pairs if key == pair[0] or key.startswith(pair[0] + '.')]
        old, new = max(fitting, key=lambda pair: len(pair[0]))
        key = new + key.removeprefix(old)
        renamed[key] = value.reshape(()) if key.endswith('gamma.scale') else value
    return renamed


def conv_norm(source: str, norm: str, target: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Name pairs for a convolution and its batch norm that become one conv - bn layer."""
    return (source, f'{target}.conv'), (norm, f'{target}.bn')


def fold_biases(state: Arrays) -> Arrays:
    """Move biases of convolutions in front of batch norms into the running means (the same map in
    evaluation mode), for our convolutions there have no bias."""
    folded = dict(state)
    for key in state:
        if (
            key.endswith('.conv.bias')
            and (norm := key.replace('.conv.bias', '.bn')) + '.weight' in state
        ):
            folded[f'{norm}.running_mean'] = state[f'{norm}.running_mean'] - folded.pop(key)
    return folded
