"""What a module weighs, and how to ask for it.

A module can be asked when its forward takes a keyword ``weigh`` and hands to it, one by one, what
it weighs: weights with the values that they weigh.

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        return weigh(Gate('channels', torch.sigmoid(self.project(x)), x))

``weigh`` gives the weighted sum back. By default it is `compute`: the fastest way, which for
attention between pixels never forms the weights. `record` runs forward once more and keeps the
weighings; of each, the weights of the queries that are asked for are then formed, and no others.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


class Weighing:
    """One weighted sum. ``name`` tells it from the others of its module."""

    name: str

    def compute(self) -> Tensor:
        """The sum, in the fastest way."""
        raise NotImplementedError

    def explicit(self) -> Tensor:
        """The same, from the weights and the values; costly where weights are between pixels."""
        return self.compute()


@dataclass(eq=False)
class Gate(Weighing):
    """A factor for every value: ``weights * values``.

    Attributes:
        weights: Of a shape that broadcasts to that of the values: (B, C, 1, 1), (B, 1, H, W),
            (B, C, H, W), (B, C, H, 1); groups of channels may be an axis of their own.
        values: (B, C, H, W), or (B, groups, C / groups, H, W).
    """

    name: str
    weights: Tensor
    values: Tensor

    def compute(self) -> Tensor:
        return self.values * self.weights

    @property
    def maps(self) -> Tensor:
        """The weights as (B, C or 1, H or 1, W or 1)."""
        return self.weights.flatten(1, -3)


@dataclass(eq=False)
class Selection(Weighing):
    """A soft choice between branches, weights of all of them summing to 1.

    Attributes:
        weights: One tensor for each branch, which broadcasts to its values.
        values: (B, C, H, W) of each branch.
    """

    name: str
    weights: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def compute(self) -> Tensor:
        return sum(u * weight for u, weight in zip(self.values, self.weights, strict=True))


class Blend(Selection):
    """A choice between two maps x and y: ``weight * x + (1 - weight) * y``."""

    def __init__(self, name: str, weight: Tensor, x: Tensor, y: Tensor) -> None:
        self.name, self.values, self.weight = name, (x, y), weight

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        return self.weight, 1 - self.weight

    def compute(self) -> Tensor:
        x, y = self.values
        return y + self.weight * (x - y)

    def explicit(self) -> Tensor:
        return super().compute()


Weigh = Callable[[Weighing], Tensor]


class _Compute:
    """See `compute`.

    The tracer of torch.onnx.export makes inputs of a forward's defaults, which functions cannot be;
    it leaves out those that equal "no default".
    """

    def __call__(self, weighing: Weighing) -> Tensor:
        return weighing.compute()

    def __eq__(self, other: object) -> bool:
        return other is self or other is inspect.Parameter.empty

    def __hash__(self) -> int:
        return id(self)


compute = _Compute()  # the default of ``weigh``: the sum, and nothing kept


def can_be_asked(module: nn.Module) -> bool:
    """Whether the module's forward takes ``weigh``."""
    return 'weigh' in inspect.signature(type(module).forward).parameters


def record(module: nn.Module, *inputs: Any, **named: Any) -> list[Weighing]:
    """What ``module`` weighs for these inputs, in the order in which it does.

    Weighings of one name are numbered: 'cross', 'cross 2'.
    """
    found: dict[str, Weighing] = {}

    def weigh(weighing: Weighing) -> Tensor:
        name, count = weighing.name, 1
        while weighing.name in found:
            count += 1
            weighing.name = f'{name} {count}'
        found[weighing.name] = weighing
        return weighing.compute()

    # The class's: that of the instance may be watched, and its hooks are not meant.
    type(module).forward(module, *inputs, **named, weigh=weigh)
    return list(found.values())
