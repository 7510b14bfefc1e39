"""`mmattn probe`: resumes, takes mechanisms of the user, and its page is up to date."""

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from mmattn.cli import main
from mmattn.cli.probe_page import heat_map, render_page
from mmattn.cli.probe_runs import ALL_MECHANISMS, parse_subject, run_cells
from mmattn.errors import UserError
from mmattn.probes import PROBES, STEPS
from mmattn.probes.results import append_cell, read_cells
from mmattn.visualization.heat_map import numbers
from tests.probes.test_results import cell

REPO = Path(__file__).resolve().parents[2]
COMMITTED = REPO / 'benchmarks/results/studies/probes.csv'
GATE = """
import torch
from mmseg.registry import MODELS
from torch import nn

@MODELS.register_module(force=True)
class MeanGateOfTests(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.project = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.project(x.mean(dim=(2, 3), keepdim=True)))
"""


def test_docs_hold_what_the_command_writes():
    cells = read_cells(COMMITTED)
    page = render_page(cells, '../benchmarks/results/studies/probes.csv', 'images/probes.png')
    assert (REPO / 'docs/probes.md').read_text() == page, 'run mmattn probe --report'


def test_the_picture_shows_what_the_cells_say():
    with Image.open(REPO / 'docs/images/probes.png') as image:
        shown = numbers(*heat_map(read_cells(COMMITTED)))
        assert image.text['Description'] == shown, 'run mmattn probe --report'


def test_a_run_goes_on_where_it_stopped(tmp_path, capsys):
    results = tmp_path / 'probes.csv'
    first = run_cells(results, ['none'], ['position'], seeds=[0], steps=1)
    text = results.read_text()
    both = run_cells(results, ['none'], ['position'], seeds=[0, 1], steps=1)
    assert both[0] == first[0] and results.read_text().startswith(text)
    assert [cell.seed for cell in read_cells(results)] == [0, 1]
    assert 'none, position, seed 0: ' in capsys.readouterr().out


def test_jobs_share_the_cells_and_change_no_result(tmp_path, monkeypatch):
    (tmp_path / 'gate_of_tests.py').write_text(GATE)
    monkeypatch.syspath_prepend(tmp_path)
    names, arguments = ['none', 'MeanGateOfTests'], dict(seeds=[0], steps=2)
    arguments['imports'] = ['gate_of_tests']
    alone = run_cells(tmp_path / 'alone.csv', names, ['position', 'row'], **arguments)
    shared = run_cells(tmp_path / 'shared.csv', names, ['position', 'row'], **arguments, jobs=2)
    assert [cell[:7] for cell in shared] == [cell[:7] for cell in alone]
    assert sorted(read_cells(tmp_path / 'shared.csv')) == sorted(shared)


def test_cells_are_trained_with_avx2_at_most(tmp_path, monkeypatch):
    """Also where this process, which has computed before, uses more."""
    seen = tmp_path / 'seen.txt'
    (tmp_path / 'looks.py').write_text(
        'import os, multiprocessing, pathlib, torch\n'
        'if multiprocessing.parent_process():\n'
        '    words = torch.backends.cpu.get_cpu_capability(), os.environ["ONEDNN_MAX_CPU_ISA"]\n'
        f'    pathlib.Path({str(seen)!r}).write_text(" ".join(words))\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(os.environ)
    run_cells(tmp_path / 'a.csv', ['none'], ['row'], seeds=[0], steps=1, imports=['looks'])
    wide, onednn = seen.read_text().split()
    assert 'AVX512' not in wide and onednn == 'AVX2'
    assert dict(os.environ) == before


def test_a_killed_process_is_told_in_words(tmp_path, monkeypatch):
    (tmp_path / 'killed.py').write_text(
        "import os\nif __import__('multiprocessing').parent_process(): os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match='was killed.*fewer --jobs'):
        run_cells(tmp_path / 'a.csv', ['none'], ['row'], steps=1, imports=['killed'], jobs=2)


def test_the_report_stands_beside_the_results_of_a_user(tmp_path):
    results = tmp_path / 'probes.csv'
    append_cell(results, cell(steps=STEPS, accuracy=0.5))
    append_cell(results, cell(steps=STEPS, mechanism='MeanGate', accuracy=1.0))
    append_cell(results, cell(steps=2 * STEPS, accuracy=0.99))
    append_cell(results, cell(steps=STEPS + 1))
    main(['probe', '--report', '--results', str(results)])
    assert (tmp_path / 'probes.png').stat().st_size > 1000
    page = (tmp_path / 'probes.md').read_text()
    planned = len(ALL_MECHANISMS) * len(PROBES) * 3
    assert '](probes.png)' in page and f'**{planned - 1} are missing.**' in page
    assert f'### {STEPS + 1} steps\n\nCells: 1. Results that both' in page
    assert '### Did not agree\n\n- `NonLocal` on *match* was to solve it: 50.0 %' in page
    assert f'### {2 * STEPS} steps' in page and '| `MeanGate` | not run |' in page


def test_mechanisms_of_the_user_join_by_name(tmp_path, monkeypatch, capsys):
    (tmp_path / 'gate_of_tests.py').write_text(GATE)
    monkeypatch.syspath_prepend(tmp_path)
    results = tmp_path / 'probes.csv'
    command = 'probe MeanGateOfTests --import gate_of_tests --probes position --seeds 0 --steps 1'
    main([*command.split(), '--results', str(results)])
    assert read_cells(results)[0].mechanism == 'MeanGateOfTests'


def test_a_bug_in_a_mechanism_of_the_user_keeps_its_traceback(tmp_path, monkeypatch):
    (tmp_path / 'broken_of_tests.py').write_text(GATE.replace('x.mean(', 'x.meen('))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AttributeError, match='meen'):
        run_cells(tmp_path / 'a.csv', ['MeanGateOfTests'], steps=1, imports=['broken_of_tests'])


def test_options_are_part_of_the_name():
    assert parse_subject('CrissCross( recurrence = 2 )').name == 'CrissCross(recurrence=2)'
    assert parse_subject('AFF').maps == 2


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['NonLocl'], "MECHANISM: type must be one of .*NonLocal.* got 'NonLocl'"),
        (['CrissCross(recurence=2)'], 'CrissCross: .*recurence'),
        (
            ['SIAU(num_frames=3)'],
            r'SIAU\(num_frames=3\) does not run on maps of shape \(16, 32, 24, 24\), .*ValueError',
        ),
        (
            ['SKConv(stride=2)'],
            r'SKConv\(stride=2\) turns maps .* into \(16, 32, 12, 12\); expected the same shape',
        ),
        (['CrissCross(2)'], 'not the name of a mechanism; expected one such as NonLocal'),
        (['none', '--probes', 'mach'], "no probe 'mach'; there are statistic, row, match"),
        (['none', '--steps', '0'], '--steps must be at least 1, got 0'),
        (['none', '--jobs', '0'], '--jobs must be at least 1, got 0'),
        (['none', '--import', 'no_such_module'], 'no_such_module: no such module.*PYTHONPATH'),
        (['--report'], 'holds no finished cell of 400 steps; `mmattn probe` makes them'),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, words, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        main(['probe', *arguments, '--results', str(tmp_path / 'probes.csv')])
    assert exit.value.code == 2
    assert re.search(words, capsys.readouterr().err)


def test_a_file_of_something_else_is_not_written_to(tmp_path):
    path = tmp_path / 'other.csv'
    path.write_text('a,b\n1,2\n')
    with pytest.raises(UserError, match='name another file with --results'):
        run_cells(path, ['none'], ['match'], seeds=[0], steps=1)
    assert path.read_text() == 'a,b\n1,2\n'


def test_a_place_that_cannot_be_written_is_told_before_the_first_training(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='is a file; name another file with --results'):
        run_cells(tmp_path / 'file' / 'probes.csv', ['none'], ['match'], seeds=[0], steps=10**9)
