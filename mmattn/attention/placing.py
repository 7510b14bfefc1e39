"""``device`` and ``dtype`` for modules, as torch's own take them."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial, wraps

import torch
from torch import Tensor, nn

_PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    for name, annotation in (
        ('device', torch.device | str | None),
        ('dtype', torch.dtype | None),
    )
]


def register_constant(module: nn.Module, name: str, make: Callable[[], Tensor]) -> None:
    """Give a module a buffer that follows from its arguments, which checkpoints do not hold.

    It is made again when weights are loaded, since a module that was made on ``meta`` has none.

    Args:
        module: With parameters, whose device it has, and whose type if it is of floats.
        name: Of the buffer.
        make: What it is; a module with it can be pickled if this can.
    """
    module.register_buffer(name, make(), persistent=False)
    module.register_load_state_dict_post_hook(partial(_make_again, name=name, make=make))


def _make_again(module: nn.Module, _: object, *, name: str, make: Callable[[], Tensor]) -> None:
    weight, constant = next(module.parameters()), make()
    dtype = weight.dtype if constant.is_floating_point() else constant.dtype
    setattr(module, name, constant.to(weight.device, dtype))


def takes_device_and_dtype(module: type[nn.Module]) -> type[nn.Module]:
    """Give a class the keyword arguments ``device`` and ``dtype``.

    Everything is made on the device, so that a large module needs no memory elsewhere, and on
    ``meta`` none at all. Weights are drawn in torch's default precision and then rounded to
    ``dtype``. With None for both, the class is as it was.
    """
    initialise = module.__init__
    signature = inspect.signature(initialise)

    @wraps(initialise)
    def __init__(self, *args, device=None, dtype=None, **kwargs) -> None:
        with nullcontext() if device is None else torch.device(device):
            initialise(self, *args, **kwargs)
        if dtype is not None:
            self.to(dtype=dtype)

    __init__.__signature__ = signature.replace(
        parameters=[*signature.parameters.values(), *_PARAMETERS]
    )
    module.__init__ = __init__
    return module
