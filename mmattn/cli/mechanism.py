"""A mechanism as a command line names it, with options as in a call."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

from mmseg.registry import MODELS
from torch import nn

from mmattn.cli.arguments import parse_call
from mmattn.models.mechanisms import build_mechanism


class Subject(NamedTuple):
    """Its name in tables, its builder, and how many maps it takes."""

    name: str
    make: Callable[[int], nn.Module]
    maps: int


def parse_mechanism(text: str) -> Subject:
    """``CrissCross(recurrence=2)``; the builder is called with in_channels.

    Raises:
        UserError: It is not written so. The builder raises it where there is no such mechanism, or
            where its options are wrong.
    """
    name, options = parse_call(text)
    maps = _count_maps(MODELS.get(name))
    role = 'fusion' if maps == 2 else 'MECHANISM'

    def make(in_channels: int) -> nn.Module:
        return build_mechanism(role, dict(type=name, **options), in_channels=in_channels)[1]

    words = ', '.join(f'{key}={value!r}' for key, value in options.items())
    return Subject(f'{name}({words})' if options else name, make, maps)


def _count_maps(module: type[nn.Module] | None) -> int:
    """The positional arguments that its forward needs, 1 at least and for what is no module."""
    if not inspect.isclass(module):
        return 1
    _, *parameters = inspect.signature(module.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each for each in parameters if each.kind in positional]
    return max(1, sum(each.default is each.empty for each in needed))
