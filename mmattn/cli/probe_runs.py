"""The trainings behind `mmattn probe`."""

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

import mmattn
from mmattn.cli.arguments import import_modules
from mmattn.cli.mechanism import Subject, parse_mechanism
from mmattn.errors import UserError
from mmattn.files import check_writable
from mmattn.models.mechanisms import MECHANISMS
from mmattn.probes import NO_MECHANISM, PROBES, STEPS, VARIANTS, build_net, run_probe
from mmattn.probes.results import Cell, append_cell, read_cells
from mmattn.provenance import commit

# What runs where no mechanism is named.
ALL_MECHANISMS = (NO_MECHANISM, *MECHANISMS, *VARIANTS)


def run_cells(
    results: Path,
    mechanisms: Sequence[str] | None = None,
    probes: Sequence[str] | None = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int | None = None,
    imports: Iterable[str] = (),
) -> list[Cell]:
    """Train every mechanism on every probe from every seed, but what the file already holds.

    Args:
        results: CSV file; each cell is appended to it as it ends, so that a run that is killed goes
            on where it was.
        mechanisms, probes: All where none is named.
        seeds: Of weights and data.
        steps: Training steps.
        imports: Modules that register mechanisms of the user.

    Returns:
        The cells that were asked for, in the order of the run.

    Raises:
        UserError: An unknown name, an option that a mechanism does not have, or a file that holds
            something else.
    """
    steps = STEPS if steps is None else steps
    if steps < 1:
        raise UserError(f'--steps must be at least 1, got {steps}')
    import_modules(imports)
    subjects = [parse_subject(text) for text in mechanisms or ALL_MECHANISMS]
    tasks = [_find_probe(name) for name in probes or PROBES]
    check_writable(results.parent, 'the folder', 'name another file with --results')
    read_results(results)  # a file of something else is told before the first training
    versions = commit(), mmattn.__version__, torch.__version__, platform.python_version()

    cells = []
    for seed in seeds:
        for subject in subjects:
            for task in tasks:
                key = subject.name, task.name, seed, steps
                # Read again: another process may work on the same file.
                finished = {cell.key: cell for cell in read_results(results)}
                words = 'in the file'
                if key not in finished:
                    outcome = run_probe(
                        task, subject.make, maps=subject.maps, seed=seed, steps=steps
                    )
                    accuracy, seconds = round(outcome.accuracy, 5), round(outcome.seconds, 1)
                    measured = accuracy, outcome.images, outcome.pixels, seconds
                    finished[key] = Cell(*key, *measured, *versions)
                    append_cell(results, finished[key])
                    words = f'{seconds:.0f} s'
                cells.append(finished[key])
                share = 100 * finished[key].accuracy
                print(
                    f'{subject.name}, {task.name}, seed {seed}: {share:.1f} % ({words})', flush=True
                )
    return cells


def read_results(path: Path) -> list[Cell]:
    """`read_cells`; a file that holds something else is a mistake of the user."""
    try:
        return read_cells(path)
    except (ValueError, OSError) as error:
        raise UserError(f'{error}; name another file with --results') from error


def parse_subject(text: str) -> Subject:
    """What is put into the net: a mechanism as `parse_mechanism` reads it, or none.

    Raises:
        UserError: No such mechanism, or options that it does not take.
    """
    if text == NO_MECHANISM:
        return Subject(text, lambda in_channels: nn.Identity(), 1)
    subject = parse_mechanism(text)
    build_net(subject.make, subject.maps)  # wrong options are told before the first training
    return subject


def _find_probe(name: str):
    if name not in PROBES:
        raise UserError(f'no probe {name!r}; there are {", ".join(PROBES)}')
    return PROBES[name]
