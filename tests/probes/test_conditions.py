"""What makes a probe one: nothing local solves it, some mechanism does, and no cue leaks."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from mmattn.cli.probe_runs import parse_subject
from mmattn.probes import NO_MECHANISM, PROBES, STEPS, run_probe
from mmattn.probes.results import FAILED, SOLVED, read_cells, summarise
from mmattn.processor import limit_to_avx2

CELLS = read_cells(Path(__file__).resolve().parents[2] / 'benchmarks/results/studies/probes.csv')
SUMMARIES = summarise(CELLS)
# Of those that solve a probe, one that trains in seconds.
SOLVERS = {
    'statistic': 'SCSE',
    'row': 'CoordinateAttention',
    'match': 'IAFF',
    'two_steps': 'ObjectContext',
    'offset': 'BAM',
    'position': 'SKConv',
    'region': 'DoubleAttention',
    'scale': 'CoordinateAttention',
    'second_order': 'ChannelAttention',
}
every_probe = pytest.mark.parametrize('name', PROBES)


@every_probe
def test_without_a_mechanism_a_probe_is_left_to_chance(name):
    seeds = [c for c in CELLS if (c.mechanism, c.probe, c.steps) == (NO_MECHANISM, name, STEPS)]
    assert seeds and all(cell.accuracy <= FAILED for cell in seeds)


@every_probe
def test_a_probe_can_be_solved(name):
    assert SUMMARIES[SOLVERS[name], name, STEPS].mean >= SOLVED


def shuffled(name: str, seed: int) -> float:
    """Accuracy where cues tell nothing about the labels."""
    subject = parse_subject(SOLVERS[name])
    probe = PROBES[name]
    return run_probe(probe, subject.make, maps=subject.maps, seed=seed, shuffled=True).accuracy


@pytest.mark.slow
@every_probe
def test_shuffled_cues_leave_chance(name):
    """To a mechanism that in the same training solves the probe where cues tell the class."""
    with ProcessPoolExecutor(1, get_context('spawn'), limit_to_avx2) as pool:  # as all cells are
        accuracies = list(pool.map(shuffled, [name] * 3, range(3)))
    assert all(0.45 <= each <= 0.55 for each in accuracies)  # 512 images deviate by chance, 2.2 %
