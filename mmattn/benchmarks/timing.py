"""Time by the clock: the sides take turns in one process, so that all see the same machine."""

import time
from collections.abc import Callable, Mapping
from statistics import geometric_mean, quantiles

import torch

Job = Callable[[], object]
SECONDS = 0.5  # that the rounds of one case take at least: short jobs are timed more often


def seconds(job: Job, device: str) -> float:
    """What one call takes, until the device is done."""
    if device == 'cuda':
        torch.cuda.synchronize()
    start = time.perf_counter()
    job()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(
    jobs: Mapping[str, Job], device: str, rounds: int, at_least: float
) -> dict[str, list[float]]:
    """Seconds of every job in every round. Each is called once in a round; the first warms up and
    does not count.

    Args:
        jobs: By name.
        device: ``cpu`` or ``cuda``.
        rounds: At least so many count.
        at_least: Rounds go on for so many seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    start = time.perf_counter()
    done = -1
    while done < rounds or time.perf_counter() - start < at_least:
        done += 1
        for name, job in jobs.items():
            spent = seconds(job, device)
            if done:
                times[name].append(spent)
    return times


def spread(values: list[float]) -> list[float]:
    """Lower quartile, median, upper quartile."""
    return quantiles(values, method='inclusive') if len(values) > 1 else values * 3


def summarise(times: Mapping[str, list[float]], reference: str) -> dict[str, dict]:
    """Milliseconds of each side, and how many times as fast as the reference it was in the same
    round: the spread of each. Without the reference there are no such ratios."""
    summary = {
        'milliseconds': {name: spread([1e3 * x for x in spent]) for name, spent in times.items()}
    }
    if reference in times:
        summary['speed-up'] = {
            name: spread([a / b for a, b in zip(times[reference], spent, strict=True)])
            for name, spent in times.items()
            if name != reference
        }
    return summary


def mean_speed_ups(results: dict) -> list[str]:
    """A paragraph: over all cases, the geometric mean of how many times as fast each side is."""
    medians: dict[str, list[float]] = {}
    for case in results['cases']:
        for side, (_, median, _) in case.get('speed-up', {}).items():
            medians.setdefault(side, []).append(median)
    sides = [
        f'`{side}` is {geometric_mean(values):.2f} times as fast as `{results["reference"]}` '
        f'(between {min(values):.2f} and {max(values):.2f})'
        for side, values in medians.items()
    ]
    count = max(map(len, medians.values()), default=0)
    text = f'Geometric means over the {count} rows that were compared: {"; ".join(sides)}.'
    return [text] if sides else []
