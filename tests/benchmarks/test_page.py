"""The page of benchmarks is up to date, and says what is not measured."""

import copy
import json
from pathlib import Path

from mmattn.benchmarks import KINDS
from mmattn.cli import COMMANDS
from mmattn.cli.benchmarks_page import render_benchmarks
from tests.benchmarks.test_writing import RESULTS

REPO = Path(__file__).resolve().parents[2]


def test_docs_hold_what_the_command_writes():
    assert (REPO / 'docs/benchmarks.md').read_text() == render_benchmarks(REPO), 'run mmattn zoo'


def test_what_has_no_results_is_said_not_to_be_measured(tmp_path):
    page = render_benchmarks(tmp_path)
    assert page.count('Not yet measured here.') == len(KINDS)


def test_page_names_a_command_for_each_kind():
    page = render_benchmarks(REPO)
    assert 'benchmark' in COMMANDS
    assert all(f'\nmmattn benchmark {kind}\n' in page for kind in KINDS)


def test_every_file_of_results_has_its_section_and_its_pages():
    page = render_benchmarks(REPO)
    for file in (REPO / 'benchmarks/results').glob('*/*.json'):
        assert file.with_suffix('.md').is_file()
        picture = file.with_suffix('.png')
        assert picture.is_file() == (f'../{picture.relative_to(REPO)}' in page)


def test_page_begins_with_means_over_the_rows_on_each_processor(tmp_path):
    slow = RESULTS | {'device': 'Other CPU', 'cases': [copy.deepcopy(RESULTS['cases'][0])] * 2}
    slow['cases'][0] = RESULTS['cases'][0] | {
        'speed-up': {'mmattn': [7.0, 8.0, 9.0]},
        'memory': {'mmseg': 2**20, 'mmattn': 2**20},
    }
    for folder, results in (('other', slow), ('some', RESULTS)):
        file = tmp_path / f'benchmarks/results/{folder}/heads.json'
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(results))
    page = render_benchmarks(tmp_path)
    assert '|  | side | Other CPU | Some(R) CPU, 2 cores |' in page
    row = '| [Decode heads](#decode-heads) | `mmattn` |'
    assert f'{row} 4.00 (2.00 to 8.00) | 2.00 |' in page
    assert f'{row} 0.50 (0.25 to 1.00) | 0.25 |' in page
    assert 'Other CPU: 1.0; Some(R) CPU, 2 cores: 1.0.' in page


def test_a_long_table_is_a_link(tmp_path):
    long = RESULTS | {'cases': RESULTS['cases'] * 40}
    file = tmp_path / 'benchmarks/results/some/heads.json'
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(long))
    page = render_benchmarks(tmp_path)
    assert '[All 80 rows](../benchmarks/results/some/heads.md)' in page
    assert '| danet |' not in page
