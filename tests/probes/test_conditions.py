"""What makes a probe one: nothing local solves it, some mechanism does, and no cue leaks."""

from pathlib import Path
from statistics import fmean

import pytest

from mmattn.cli.probe_runs import parse_subject
from mmattn.probes import NO_MECHANISM, PROBES, STEPS, run_probe
from mmattn.probes.results import FAILED, SOLVED, read_cells, summarise

CELLS = read_cells(Path(__file__).resolve().parents[2] / 'benchmarks/results/studies/probes.csv')
SUMMARIES = summarise(CELLS)
# Of those that solve a probe, one that trains in seconds.
SOLVERS = {
    'statistic': 'SE',
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


@pytest.mark.slow
@every_probe
def test_shuffled_cues_leave_chance(name):
    """To a mechanism that in the same training solves the probe where cues tell the class."""
    subject = parse_subject(SOLVERS[name])
    outcomes = [
        run_probe(PROBES[name], subject.make, maps=subject.maps, seed=seed, shuffled=True)
        for seed in range(3)  # 1,536 images deviate by chance, 1.3 %
    ]
    assert 0.45 <= fmean(outcome.accuracy for outcome in outcomes) <= 0.55
