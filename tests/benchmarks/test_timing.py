"""Sides take turns, the warm-up does not count, and ratios are taken within rounds."""

import mmap
import sys
import time

import numpy as np
import pytest
import torch

from mmattn.benchmarks.growth import exponent
from mmattn.benchmarks.memory import peak_memory, resident_memory
from mmattn.benchmarks.timing import interleaved, mean_speed_ups, spread, summarise


def test_sides_take_turns_and_the_warm_up_does_not_count():
    calls = []
    jobs = {'a': lambda: calls.append('a'), 'b': lambda: calls.append('b')}
    times = interleaved(jobs, 'cpu', rounds=3, at_least=0)
    assert calls == ['a', 'b'] * 4
    assert [len(spent) for spent in times.values()] == [3, 3]


def test_short_jobs_are_timed_until_the_time_is_spent():
    start = time.perf_counter()
    times = interleaved({'a': lambda: None}, 'cpu', rounds=1, at_least=0.05)
    assert time.perf_counter() - start >= 0.05
    assert len(times['a']) > 100


def test_ratios_are_those_of_the_same_round():
    """A machine that slows down halfway changes the times and not their ratio."""
    times = {'theirs': [0.2, 0.4, 2.0, 4.0], 'ours': [0.1, 0.2, 1.0, 2.0]}
    summary = summarise(times, 'theirs')
    assert summary['speed-up'] == {'ours': [2, 2, 2]}
    assert summary['milliseconds']['ours'] == pytest.approx([175, 600, 1250])


def test_without_the_reference_there_are_no_ratios():
    assert summarise({'ours': [0.1]}, 'theirs') == {'milliseconds': {'ours': [100, 100, 100]}}


def test_spread_is_within_what_was_measured():
    assert spread([1, 2, 3, 4, 5]) == [2, 3, 4]
    assert spread([1, 5]) == [2, 3, 4]


@pytest.mark.parametrize('power', [0, 1, 1.5, 2])
def test_exponent_of_a_power_is_found(power):
    assert exponent({n: 3 * n**power for n in (1024, 4096, 9409)}) == pytest.approx(power)


def test_exponent_of_noisy_values_is_near():
    values = {n: n**2 * factor for n, factor in ((64, 1.1), (256, 0.9), (1024, 1.1), (4096, 0.9))}
    assert 1.9 < exponent(values) < 2.1


def test_peak_memory_is_that_beyond_inputs_and_results():
    x = torch.randn(256, 256)
    one = x.nbytes
    assert peak_memory(lambda: x + 1, 'cpu') < one / 100
    assert peak_memory(lambda: (x + 1).sum(), 'cpu') == pytest.approx(one, rel=0.01)
    assert peak_memory(lambda: (x + 1) * (x + 2), 'cpu') == pytest.approx(2 * one, rel=0.01)


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux alone tells the peak of a process')
def test_resident_memory_is_what_the_process_grows_by_whoever_allocates():
    def beside_torch():
        for size in (2**26, 2**25):  # mapped, since malloc may keep what is freed
            memory = mmap.mmap(-1, size)
            np.frombuffer(memory, np.uint8).fill(1)
            memory.close()

    assert peak_memory(beside_torch, 'cpu') == 0
    assert resident_memory(beside_torch) == pytest.approx(2**26, rel=0.1)


def test_mean_is_geometric_and_of_those_that_were_compared():
    cases = [{'speed-up': {'ours': [1, ratio, 9]}} for ratio in (2.0, 8.0)]
    results = {'reference': 'theirs', 'cases': [*cases, {}]}
    (paragraph,) = mean_speed_ups(results)
    assert '`ours` is 4.00 times as fast as `theirs` (between 2.00 and 8.00)' in paragraph
    assert 'over the 2 rows' in paragraph
    assert mean_speed_ups({'reference': 'theirs', 'cases': [{}]}) == []
