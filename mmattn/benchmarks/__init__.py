"""What `mmattn benchmark` measures: one file for each kind.

A module of `KINDS` has

- ``TITLE`` and ``TEXT``, of the page: what is measured, and how;
- ``SIDE``, the heading of the column that tells the sides of a case apart;
- ``REFERENCE``, the side that the others are compared with;
- ``SIZES``, what is measured where no ``--sizes`` are given, and ``MODELS``, all that ``--models``
  may name, if it may;
- ``cases(options)``, which yields a `Case` for each row of the comparison.

It may have ``extras(options)``, further entries of the results, ``findings(results)``, paragraphs
that follow from the figures, and ``draw(results)``, its picture. `running` runs a kind, `timing`,
`memory` and `shares` measure, `writing` writes the files.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

KINDS = (
    'operator',
    'attention',
    'heads',
    'inference',
    'windows',
    'loss',
    'training',
    'evaluation',
)
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Options:
    """What a benchmark shall measure.

    Attributes:
        device: ``cpu`` or ``cuda``.
        sizes: Of maps, images or label maps, by the kind.
        models: Blocks or methods; () for kinds that have none.
        rounds: How often each side is timed, at least, after a warm-up.
        against: Whether the sides of OpenMMLab's packages are measured, too.
    """

    device: str
    sizes: tuple[Size, ...]
    models: tuple[str, ...] = ()
    rounds: int = 9
    against: bool = True


@dataclass
class Case:
    """Sides that compute the same, or stand for each other, on the same inputs.

    Attributes:
        labels: What tells this case from the others of its kind, by column.
        jobs: What each side does.
        macs: Multiply-adds of each side, where they are counted.
        facts: Further cells, by side and column.
        images: How many a job takes, where their number a second is told.
        foreign: Sides that run outside torch, which does not see their memory.
        resident: Whether the memory of the process is measured, too.
        profiled: Whether it is told where the time goes.
    """

    labels: dict[str, str]
    jobs: dict[str, Callable[[], object]]
    macs: dict[str, float] = field(default_factory=dict)
    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    images: int = 0
    foreign: frozenset[str] = frozenset()
    resident: bool = False
    profiled: bool = False


def words(size: Size) -> str:
    """(64, 128) -> '64x128'."""
    return 'x'.join(map(str, size))
