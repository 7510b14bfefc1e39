"""Models whose weights depend on the seed and their names, and on nothing else that is drawn.

A plugin in the middle of a backbone draws random numbers, and all layers after it get others than
they would get without. Two models that are compared shall differ in the plugin alone.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, UntypedStorage, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class Draws(TorchDispatchMode):
    """Records what is written into tensors in its block, to repeat it with other random numbers.

    `repeat` puts back what the tensors held before the block and writes all of it again, in the
    same order: constants and pretrained weights are as they were, each layer keeps the distribution
    that it is drawn from, but the random numbers of an entry of the state dict come from a
    generator of its own, which is seeded by the seed and the name of the entry; so do those of a
    tensor that is copied into it, as from a module that is built again. All other random numbers
    are those of the block, so that a tensor that is not drawn in place stays as it is: an
    orthogonal one, `nn.Parameter(torch.randn(3))`, a truncated normal of which some numbers were
    rejected.

    What a tensor held is copied only where its first write does not overwrite all of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._writes: list[_Write] = []
        self._before: dict[int, tuple[UntypedStorage, UntypedStorage | None]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        written = _written(func, args, kwargs)
        # A tensor that is transposed in place shares its values with the one that is kept below.
        if written and torch.Tag.inplace_view not in func.tags:
            for tensor in written:
                if _memory(tensor) not in self._before:
                    storage = tensor.untyped_storage()
                    copied = None if _overwrites(func, tensor) else storage.clone()
                    # Kept, so that the memory of a tensor is not that of a later one.
                    self._before[_memory(tensor)] = storage, copied
            # Shapes as they are now, values as they are at any time.
            kept = tree_map_only(Tensor, Tensor.detach, (args, kwargs))
            state = _random_state(written[0], kwargs) if _draws(func) else None
            self._writes.append(_Write(func, *kept, written[0].detach(), state))
        return func(*args, **kwargs)

    @torch.no_grad()
    def repeat(self, model: nn.Module, seed: int) -> None:
        """Write everything again; entries of the model's state dict get numbers of their own.

        Args:
            model: What was built, or initialised, in the block.
            seed: Of the run.
        """
        names = self._names(model)
        generators: dict[str, torch.Generator] = {}
        for storage, copied in self._before.values():
            if copied is not None:
                storage.copy_(copied)
        for write in self._writes:
            kwargs = write.kwargs
            if write.state is not None:
                name = names.get(_memory(write.target))
                if name is None:  # a tensor that something else is computed from
                    generator = torch.Generator(write.target.device).set_state(write.state)
                else:
                    if name not in generators:
                        generator = torch.Generator(write.target.device)
                        generators[name] = generator.manual_seed(_seed_of(seed, name))
                    generator = generators[name]
                kwargs = {**kwargs, 'generator': generator}
            write.func(*write.args, **kwargs)

    def _names(self, model: nn.Module) -> dict[int, str]:
        """Entries of the state dict by their memory, and by that of what becomes one as a copy."""
        names = {_memory(value): name for name, value in model.state_dict(keep_vars=True).items()}
        for write in self._writes:
            if write.func is torch.ops.aten.copy_.default:
                target, source = write.args[:2]
                whole = source.shape == target.shape and _is_whole(source) and _is_whole(target)
                if whole and _memory(target) in names:
                    names.setdefault(_memory(source), names[_memory(target)])
        return names


class _Write(NamedTuple):
    """A call that changes tensors; ``state`` is that of its generator before, if it draws."""

    func: Callable
    args: tuple
    kwargs: dict[str, Any]
    target: Tensor
    state: Tensor | None


def _written(func, args: tuple, kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors among the arguments of an operator that it changes."""
    if not func._schema.is_mutable:
        return []
    arguments = func._schema.arguments
    given = {each.name: value for each, value in zip(arguments, args, strict=False)} | kwargs
    changed = [
        given.get(each.name) for each in arguments if each.alias_info and each.alias_info.is_write
    ]
    return [leaf for leaf in tree_leaves(changed) if isinstance(leaf, Tensor)]


def _draws(func) -> bool:
    return any(argument.name == 'generator' for argument in func._schema.arguments)


def _overwrites(func, tensor: Tensor) -> bool:
    """Whether nothing of what the memory of a tensor held is left, or read, by an operator."""
    return _is_whole(tensor) and tensor.is_contiguous() and func.overloadpacket in _OVERWRITING


def _is_whole(tensor: Tensor) -> bool:
    """Whether the memory of a tensor holds nothing beside it."""
    return tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()


_OVERWRITING = {
    getattr(torch.ops.aten, name)
    for name in ('fill_', 'zero_', 'normal_', 'uniform_', 'bernoulli_', 'random_', 'exponential_')
}


def _random_state(tensor: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """Of the generator that an operator draws from."""
    if kwargs.get('generator') is not None:
        return kwargs['generator'].get_state()
    if tensor.device.type == 'cpu':
        return torch.get_rng_state()
    return torch.cuda.get_rng_state(tensor.device)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _seed_of(seed: int, name: str) -> int:
    digest = hashlib.sha256(f'{seed} {name}'.encode()).digest()
    return int.from_bytes(digest[:8], 'little') >> 1
