"""``device`` and ``dtype`` for modules, as torch's own take them."""

import inspect
from contextlib import nullcontext
from functools import wraps

import torch
from torch import nn

_PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    for name, annotation in (
        ('device', torch.device | str | None),
        ('dtype', torch.dtype | None),
    )
]


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
