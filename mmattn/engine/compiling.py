"""torch.compile in training, for the parts of a network."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.device import get_device
from torch import nn

from mmattn.errors import UserError, first_line

_PARTS = ('backbone', 'neck', 'decode_head', 'auxiliary_head')


def check_compile(settings: dict | bool) -> None:
    """Compile a sum as a trial.

    Args:
        settings: The arguments of torch.compile, or True for none.

    Raises:
        UserError: torch.compile does not work on this machine, or not with these settings.
    """
    try:
        torch.compile(torch.sin, **_arguments(settings))(torch.ones(16, device=get_device()))
    except Exception as error:  # of Python, torch, a compiler, a driver
        raise UserError(
            f'torch.compile does not work here: {first_line(error)}. Leave --compile (compile in '
            'the config) out, or mend that: it needs a C++ compiler on CPUs and Triton on GPUs'
        ) from error


def compile_parts(model: nn.Module, settings: dict | bool) -> bool:
    """Have the parts of a segmentor computed by compiled code while they are in training mode.

    mmengine compiles the whole step, with the optimizer and what hooks do there. In a trial with
    DANet that made 31 graphs in six iterations and still went on; the parts make three, in the
    first. Losses are left as they are. State dicts keep their keys.

    Args:
        model: Not wrapped.
        settings: The arguments of torch.compile, or True for none.

    Returns:
        Whether there was any part.
    """
    parts = list(_parts(model))
    for part in parts:
        part.forward = _in_training(part, torch.compile(part.forward, **_arguments(settings)))
    return bool(parts)


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    for name in _PARTS:
        part = getattr(model, name, None)
        if isinstance(part, nn.ModuleList):  # heads one after the other
            yield from part
        elif part is not None:
            yield part


def _in_training(part: nn.Module, compiled: Callable) -> Callable:
    plain = part.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        return (compiled if part.training else plain)(*args, **kwargs)

    return forward


def _arguments(settings: dict | bool) -> dict:
    return {} if settings is True else dict(settings)
