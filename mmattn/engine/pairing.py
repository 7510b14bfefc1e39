"""Models whose weights depend on the seed and their names, and on nothing else that is drawn.

A plugin in the middle of a backbone draws random numbers, and all layers after it get others than
they would get without. Two models that are compared shall differ in the plugin alone.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


class Draws(TorchDispatchMode):
    """Records what is written into tensors in its block, to repeat it with other random numbers.

    `repeat` writes all of it again, in the same order: constants and pretrained weights are as they
    were, each layer keeps the distribution that it is drawn from, but the random numbers of an
    entry of the state dict come from a generator of its own, which is seeded by the seed and the
    name of the entry. A tensor that is not drawn in place stays as it is: an orthogonal one,
    `nn.Parameter(torch.randn(3))`, a truncated normal of which some numbers were rejected.
    """

    def __init__(self) -> None:
        super().__init__()
        self._writes: list[tuple[Callable, tuple, dict[str, Any]]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func._schema.is_mutable and args and isinstance(args[0], Tensor):
            # Kept whole, so that the memory of a tensor is not that of a later one.
            self._writes.append((func, args, kwargs))
        return func(*args, **kwargs)

    @torch.no_grad()
    def repeat(self, model: nn.Module, seed: int) -> None:
        """Write everything again; entries of the model's state dict get numbers of their own.

        Args:
            model: What was built, or initialised, in the block.
            seed: Of the run.
        """
        names = {_memory(value): name for name, value in model.state_dict(keep_vars=True).items()}
        generators: dict[str, torch.Generator] = {}
        for func, args, kwargs in self._writes:
            name = names.get(_memory(args[0]))
            if any(argument.name == 'generator' for argument in func._schema.arguments):
                if name is None:
                    continue  # a tensor that something else is computed from
                if name not in generators:
                    generator = torch.Generator(args[0].device)
                    generators[name] = generator.manual_seed(_seed_of(seed, name))
                kwargs = {**kwargs, 'generator': generators[name]}
            func(*args, **kwargs)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _seed_of(seed: int, name: str) -> int:
    digest = hashlib.sha256(f'{seed} {name}'.encode()).digest()
    return int.from_bytes(digest[:8], 'little') >> 1
