"""The page of benchmarks is up to date, and says what is not measured."""

from pathlib import Path

from mmattn.benchmarks import KINDS
from mmattn.cli import COMMANDS
from mmattn.cli.benchmarks_page import render_benchmarks

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
