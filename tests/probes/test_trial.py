"""The page holds each result of the first trial against the cells that were run."""

from mmattn.cli.probe_runs import ALL_MECHANISMS
from mmattn.cli.probe_trial import TRIAL, first_trial
from mmattn.probes import PROBES, STEPS
from mmattn.probes.results import Cell
from tests.probes.test_results import cell


def trained(mechanism: str, *accuracies: float, probe: str = 'match', steps: int = STEPS):
    """A cell of each accuracy, from seed 0 on."""
    same = dict(mechanism=mechanism, probe=probe, steps=steps)
    return [cell(seed, accuracy, **same) for seed, accuracy in enumerate(accuracies)]


def lines(cells: list[Cell], start: str) -> list[str]:
    return [x for x in ''.join(first_trial(cells)).splitlines() if x.startswith(start)]


def test_the_trial_names_mechanisms_and_probes_that_are_run():
    assert set(TRIAL) <= set(PROBES)
    assert {name for results in TRIAL.values() for name in results} <= set(ALL_MECHANISMS)
    assert [len(results) for results in TRIAL.values()] == [9, 5]


def test_the_mean_of_the_seeds_decides_the_side():
    cells = [*trained('none', 0.5), *trained('APNB', 0.97, 1), *trained('ChannelAttention', 0.6)]
    cells += trained('NonLocal', 0.6, probe='row')
    table = lines(cells, '| match |') + lines(cells, '| row |')
    verdicts = [line.split(' | ')[-1].rstrip(' |') for line in table]
    assert verdicts == [
        'the same side',
        'solved there, failed here',
        'the same side',
        'between there, failed here',
    ]
    assert '| `APNB` | 99 % | 98.5 % (' in table[2]
    assert '2 of 4 results are on the same side.' in ''.join(first_trial(cells))


def test_a_deviation_names_its_seeds_and_those_that_solve_it():
    cells = trained('NonLocal', 0.997, 0.971, 0.922)
    cells += trained('NonLocal', 1, steps=600) + trained('NonLocal', 0.98, 0.99, steps=300)
    cells += trained('APNB', 0.9)
    apnb, nonlocal_ = sorted(lines(cells, '- '))
    assert '99.7, 97.1, 92.2 % from seeds 0, 1, 2; after 300 steps 98.0, 99.0 %' in nonlocal_
    assert '% from seeds 0, 1; after 600 steps 100.0 % from seed 0.' in nonlocal_
    assert nonlocal_.endswith('98 % is reached from seed 0 alone.')
    assert apnb.endswith('98 % is reached from no seed.')


def test_without_a_cell_of_the_trial_there_is_nothing_to_hold_against_it():
    cells = trained('MeanGate', 1)
    assert ''.join(first_trial(cells)) == 'None of its cells was run.\n'
