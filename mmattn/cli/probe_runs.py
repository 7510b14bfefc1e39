"""The trainings behind `mmattn probe`."""

import os
import platform
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import nn

import mmattn
from mmattn.cli.arguments import import_modules
from mmattn.cli.mechanism import Subject, parse_mechanism
from mmattn.errors import UserError, first_line, passes_modules_of_the_user
from mmattn.files import check_writable
from mmattn.models.mechanisms import MECHANISMS
from mmattn.parent import end_with_parent
from mmattn.probes import NO_MECHANISM, PROBES, STEPS, VARIANTS, WIDTH, run_probe
from mmattn.probes.results import Cell, append_cell, read_cells
from mmattn.probes.scenes import SIZE
from mmattn.probes.training import BATCH
from mmattn.processor import limit_to_avx2
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
    imports: Sequence[str] = (),
    jobs: int = 1,
) -> list[Cell]:
    """Train every mechanism on every probe from every seed, but what the file already holds.

    Args:
        results: CSV file; each cell is appended to it as it ends, so that a run that is killed goes
            on where it was.
        mechanisms, probes: All where none is named.
        seeds: Of weights and data.
        steps: Training steps.
        imports: Modules that register mechanisms of the user.
        jobs: Processes that train, each a cell at a time in one thread, by no wider instructions
            than AVX2: the same arguments give the same cells on other processors.

    Returns:
        The cells that were asked for, in the order of the run.

    Raises:
        UserError: An unknown name, an option that a mechanism does not have, or a file that holds
            something else; or a process that trained was killed.
    """
    steps = STEPS if steps is None else steps
    for option, count in (('--steps', steps), ('--jobs', jobs)):
        if count < 1:
            raise UserError(f'{option} must be at least 1, got {count}')
    import_modules(imports)
    subjects = [parse_subject(text).name for text in mechanisms or ALL_MECHANISMS]
    tasks = [_find_probe(name).name for name in probes or PROBES]
    check_writable(results.parent, 'the folder', 'name another file with --results')
    read_results(results)  # a file of something else is told before the first training

    keys = [(name, task, seed, steps) for seed in seeds for name in subjects for task in tasks]
    finish = partial(_finish_cell, results, commit())
    pool = ProcessPoolExecutor(jobs, get_context('spawn'), _start_worker, (os.getpid(), imports))
    try:
        return [_tell(*finished) for finished in pool.map(finish, keys)]
    except BrokenProcessPool as error:
        raise UserError(
            'a process that trained was killed (by want of memory?); the same command goes on from '
            f'{results}, with fewer --jobs if need be'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(parent: int, imports: Sequence[str]) -> None:
    end_with_parent(parent)
    limit_to_avx2()  # so that a cell is the same on every x86 processor
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent alone tells of Ctrl+C
    import_modules(imports)


def _finish_cell(results: Path, revision: str, key: tuple[str, str, int, int]) -> tuple[Cell, bool]:
    """The cell of a key, and whether it was trained now: another process may have done so."""
    finished = {cell.key: cell for cell in read_results(results)}
    if key in finished:
        return finished[key], False
    name, task, seed, steps = key
    subject = parse_subject(name)
    outcome = run_probe(PROBES[task], subject.make, maps=subject.maps, seed=seed, steps=steps)
    cell = Cell(
        *key,
        round(outcome.accuracy, 5),
        outcome.images,
        outcome.pixels,
        round(outcome.seconds, 1),
        revision,
        mmattn.__version__,
        torch.__version__,
        platform.python_version(),
    )
    append_cell(results, cell)
    return cell, True


def _tell(cell: Cell, trained: bool) -> Cell:
    words = f'{cell.seconds:.0f} s' if trained else 'in the file'
    share = f'{100 * cell.accuracy:.1f} %'
    print(f'{cell.mechanism}, {cell.probe}, seed {cell.seed}: {share} ({words})', flush=True)
    return cell


def read_results(path: Path) -> list[Cell]:
    """`read_cells`; a file that holds something else is a mistake of the user."""
    try:
        return read_cells(path)
    except (ValueError, OSError) as error:
        raise UserError(f'{error}; name another file with --results') from error


def parse_subject(text: str) -> Subject:
    """What is put into the net: a mechanism as `parse_mechanism` reads it, or none.

    Raises:
        UserError: No such mechanism, options that it does not take, or a mechanism that does not
            turn the maps of a batch into one of the same shape.
    """
    if text == NO_MECHANISM:
        return Subject(text, lambda in_channels: nn.Identity(), 1)
    subject = parse_mechanism(text)
    _try_out(subject)
    return subject


@torch.no_grad()
def _try_out(subject: Subject) -> None:
    """Run a mechanism once as a training will: what is wrong is told before the first one."""
    shape = BATCH, WIDTH, SIZE, SIZE
    with torch.random.fork_rng(devices=[]):
        mechanism = subject.make(WIDTH)
        try:
            output = mechanism(*(torch.randn(shape) for _ in range(subject.maps)))
        except Exception as error:
            if passes_modules_of_the_user(error):  # a bug of theirs may be behind it
                raise
            raise UserError(
                f'{subject.name} does not run on maps of shape {shape}, a batch of the probes: '
                f'{first_line(error)}; choose options that fit'
            ) from error
    got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if got != shape:
        raise UserError(
            f'{subject.name} turns maps of shape {shape}, a batch of the probes, into {got}; '
            'expected the same shape: choose options that keep it'
        )


def _find_probe(name: str):
    if name not in PROBES:
        raise UserError(f'no probe {name!r}; there are {", ".join(PROBES)}')
    return PROBES[name]
