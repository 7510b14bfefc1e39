"""Measuring one kind of benchmark, case by case."""

import os
import platform
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import torch

from mmattn import __version__
from mmattn.benchmarks import Case, Options, Size, timing
from mmattn.benchmarks.memory import peak_memory, resident_memory
from mmattn.benchmarks.shares import time_shares
from mmattn.benchmarks.timing import interleaved, summarise
from mmattn.errors import UserError
from mmattn.provenance import commit, device_name


def kind_module(kind: str) -> ModuleType:
    """The file of a kind."""
    return import_module(f'mmattn.benchmarks.{kind}')


def make_options(
    kind: str,
    device: str,
    sizes: list[Size] | None = None,
    models: list[str] | None = None,
    rounds: int = 9,
    against: bool = True,
) -> Options:
    """Options of a kind; what is None is what the kind measures by default.

    Raises:
        UserError: A device that is not there, a model that the kind does not have, or no round.
    """
    module = kind_module(kind)
    known = tuple(getattr(module, 'MODELS', ()))
    if device == 'cuda' and not torch.cuda.is_available():
        raise UserError('--device cuda: torch finds no GPU here; --device cpu measures without')
    if models and not known:
        raise UserError(f'--models: the benchmark {kind} has none to choose from')
    if unknown := [name for name in models or () if name not in known]:
        raise UserError(f'--models {" ".join(unknown)}: {kind} has {", ".join(known)}')
    if rounds < 1:
        raise UserError(f'--rounds is {rounds}: it must be at least 1')
    return Options(
        device=device,
        sizes=tuple(sizes or module.SIZES),
        models=tuple(models or known),
        rounds=rounds,
        against=against,
    )


def measure(kind: str, options: Options, report: Callable[[dict], None]) -> dict:
    """The results of a benchmark, as they are written to its JSON file.

    Args:
        kind: One of `mmattn.benchmarks.KINDS`.
        options: What of it.
        report: Called with each case when it is measured.

    Raises:
        UserError: What is to be measured is not installed.
    """
    module = kind_module(kind)
    if options.device == 'cuda':
        torch.backends.cudnn.benchmark = True  # as in the configs of both sides
    results = {
        'kind': kind,
        'device': device_name(options.device),
        'threads': torch.get_num_threads(),
        'load': os.getloadavg()[0],  # before anything of this is measured
        'rounds': options.rounds,
        'versions': {
            'mmattn': f'{__version__} {commit()}'.strip(),
            'torch': torch.__version__,
            'python': platform.python_version(),
            'cuda': torch.version.cuda if options.device == 'cuda' else None,
        },
        'reference': module.REFERENCE,
        'cases': [],
    }
    for case in module.cases(options):
        results['cases'].append(_measure_case(case, module.REFERENCE, options))
        report(results['cases'][-1])
    return results | getattr(module, 'extras', lambda options: {})(options)


def _measure_case(case: Case, reference: str, options: Options) -> dict:
    jobs = dict(case.jobs)
    if not options.against:
        jobs.pop(reference, None)
    times = interleaved(jobs, options.device, options.rounds, timing.SECONDS)
    measured = {'labels': case.labels, **summarise(times, reference)}
    measured['memory'] = {
        name: peak_memory(job, options.device)
        for name, job in jobs.items()
        if name not in case.foreign
    }
    if case.resident and options.device == 'cpu':
        grown = {name: resident_memory(job) for name, job in jobs.items()}
        measured['resident'] = {name: number for name, number in grown.items() if number}
    if case.profiled:
        measured['shares'] = {
            name: time_shares(job, options.device)
            for name, job in jobs.items()
            if name not in case.foreign
        }
    if case.macs:
        measured['macs'] = {name: case.macs[name] for name in jobs if name in case.macs}
    if case.images:
        measured['images'] = case.images
    if case.facts:
        measured['facts'] = case.facts
    return measured
