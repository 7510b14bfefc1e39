"""Finished cells survive a kill; intervals are those of the textbooks."""

import pytest

from mmattn.cli.probe_findings import other_budgets
from mmattn.probes import STEPS
from mmattn.probes.results import Cell, append_cell, read_cells, summarise


def cell(seed: int = 0, accuracy: float = 0.9, **more) -> Cell:
    values = dict(mechanism='NonLocal', probe='match', seed=seed, steps=400, accuracy=accuracy)
    values |= dict(images=512, pixels=2048, seconds=30.0, commit='abc1234')
    values |= dict(mmattn='0.1.0', torch='2.13.0', python='3.11.7')
    return Cell(**(values | more))


def test_cells_come_back_as_they_were_written(tmp_path):
    path = tmp_path / 'studies' / 'probes.csv'
    cells = [cell(), cell(seed=1, mechanism='RGA(grid=(24, 24))')]
    assert read_cells(path) == []
    for one in cells:
        append_cell(path, one)
    assert read_cells(path) == cells
    assert path.read_text().startswith('mechanism,probe,seed,steps,accuracy,')


def test_a_line_that_was_cut_off_is_left_out_and_replaced(tmp_path):
    path = tmp_path / 'probes.csv'
    append_cell(path, cell())
    whole = path.read_bytes()
    append_cell(path, cell(seed=1))
    for end in range(len(whole), len(path.read_bytes())):
        path.write_bytes((whole + b'NonLocal,match,1,400,0.9,512,2048,30.0')[:end])
        assert read_cells(path) == [cell()]
    append_cell(path, cell(seed=2))
    assert read_cells(path) == [cell(), cell(seed=2)]


def test_another_file_is_told_by_its_line(tmp_path):
    path = tmp_path / 'other.csv'
    path.write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match=r'other.csv, line 1: expected mechanism,probe.*got a,b'):
        read_cells(path)


def test_one_seed_has_the_interval_of_its_images():
    summary = summarise([cell(accuracy=0.5)])['NonLocal', 'match', 400]
    # Wilson's for 256 of 512
    assert (summary.low, summary.high) == (
        pytest.approx(0.4569, abs=1e-4),
        pytest.approx(0.5431, abs=1e-4),
    )
    assert summary.seeds == 1 and summary.solved is False


def test_seeds_that_differ_widen_the_interval():
    summary = summarise([cell(s, a) for s, a in enumerate((0.90, 0.92, 0.94))])
    summary = summary['NonLocal', 'match', 400]
    assert summary.mean == pytest.approx(0.92) and summary.seeds == 3
    # 4.303 * 0.02 / sqrt(3)
    assert summary.low == pytest.approx(0.92 - 0.0497, abs=1e-4)
    assert summary.high == pytest.approx(0.92 + 0.0497, abs=1e-4)
    assert summary.solved is None


def test_steps_are_kept_apart():
    summaries = summarise([cell(), cell(steps=800, accuracy=0.99)])
    assert summaries['NonLocal', 'match', 800].solved and len(summaries) == 2


def test_other_numbers_of_steps_are_compared_from_the_same_seeds():
    cells = [cell(steps=STEPS, accuracy=0.99), cell(steps=2 * STEPS, accuracy=0.99)]
    cells += [cell(seed=seed, steps=STEPS, accuracy=0.5) for seed in (1, 2)]
    cells += [cell(mechanism=name, steps=STEPS, accuracy=0.5) for name in ('SE', 'APNB', 'FCA')]
    cells += [cell(mechanism='SE', steps=2 * STEPS, accuracy=0.98)]
    cells += [cell(mechanism='APNB', steps=2 * STEPS, accuracy=0.55)]
    text = ''.join(other_budgets(cells))
    assert f'### {2 * STEPS} steps\n\nCells: 3. ' in text
    assert 'from the same seeds: 3, with another verdict: 1.' in text
    assert '| `SE` | match | 50.0 % (46 to 54, one seed) | 98.0 % (96 to 99, one seed) |' in text
    assert 'Not solved by more steps: `APNB` on *match* (55.0 %).' in text and 'FCA' not in text
    assert 'NonLocal' not in text  # what its other seeds did does not count


def test_fewer_steps_say_nothing_of_more():
    cells = [cell(steps=STEPS, accuracy=0.99), cell(steps=STEPS - 1, accuracy=0.5)]
    text = ''.join(other_budgets(cells))
    assert 'with another verdict: 1.' in text and text.endswith('in more steps is open.\n')
    assert 'Not solved by' not in text
