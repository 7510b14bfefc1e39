"""docs/results.md is what the rows of finished runs say."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config
from PIL import Image

from mmattn.cli.arguments import parse_value
from mmattn.cli.results_page import FOLDER, draw_results, pictures, render_results
from mmattn.cli.results_text import BY_HAND
from mmattn.errors import UserError
from mmattn.rows import append_row
from mmattn.studies.evidence import EvidenceRow, read_evidence
from mmattn.visualization.comparisons import Bar, numbers

REPO = Path(__file__).resolve().parents[2]
FILES = sorted(p for p in (REPO / FOLDER).glob('*.csv') if p.read_text().startswith('study,'))
ROWS = [row for path in FILES for row in read_evidence(path)]


def test_docs_hold_what_the_command_writes():
    assert (REPO / 'docs/results.md').read_text() == render_results(REPO), 'run mmattn zoo'


def test_pictures_show_what_the_rows_say():
    found = pictures(REPO)
    assert found
    for path, (_, bars) in found.items():
        with Image.open(path) as image:
            assert image.text['Description'] == numbers(bars), 'run mmattn zoo'


def test_trainings_by_hand_are_closed_sets():
    """The words of their tables speak of these rows and no others."""
    rows = [row for row in ROWS if row.study in BY_HAND]
    assert {row.study for row in rows} == set(BY_HAND)
    assert all(row.config and not row.digest for row in rows)
    assert len(rows) == 6 + 5 + 2 + 9 * 2 + 1


@pytest.mark.parametrize('row', [r for r in ROWS if r.config], ids=lambda r: f'{r.study}-{r[1:3]}')
def test_configs_and_options_of_trainings_can_be_merged(row):
    cfg = Config.fromfile(REPO / row.config)
    _, _, options = row.options.partition('--cfg-options')
    pairs = (option.split('=', 1) for option in shlex.split(options))
    cfg.merge_from_dict({key: parse_value(key, text) for key, text in pairs})


@pytest.fixture
def checkout(tmp_path) -> Path:
    """With the study files, and the committed rows but those of studies."""
    for path in FILES:
        for row in read_evidence(path):
            if row.config:
                append_row(tmp_path / FOLDER / path.name, row, slice(0, 4))
    for folder in ('configs/studies', 'configs/_base_/studies'):
        shutil.copytree(REPO / folder, tmp_path / folder)
    return tmp_path


def append(checkout: Path, variant: str, seed: int, miou: float, **values) -> None:
    row = dict(study='heads_alone_camvid', variant=variant, seed=seed, digest='0', config='')
    row |= dict(options='--amp', parameters={'fcn': 1000}.get(variant, 1500), miou=miou)
    row |= dict(
        seconds=90.0,
        class_iou='{"sky":90.0,"pole":null,"sign":20.0,"bicyclist":40.0}',
        commit='abc1234',
    )
    row |= dict(versions='torch 9.9', machine='a processor', note='')
    file = checkout / FOLDER / 'heads_camvid.csv'
    append_row(file, EvidenceRow(**row | values), slice(0, 4))


def part(page: str, title: str) -> str:
    return re.split(r'\n##+ ', page.partition(title)[2])[0]


def test_rows_of_a_study_become_a_table_with_intervals(checkout):
    before = render_results(checkout)
    for seed in range(3):
        append(checkout, 'fcn', seed, 50.0 + seed)
        append(checkout, 'danet', seed, 52.0 + 1.1 * seed)
        append(checkout, 'ccnet', seed, 50.0 - seed * (-1) ** seed)
    append(checkout, 'anl', 0, 51.0, commit='def5678')
    page = render_results(checkout)
    text = part(page, 'Which of the six heads does better than an FCN')
    assert '\n4 of its 9 variants have been run.\n' in text
    assert "- danet: better than the baseline 'fcn' (+2.10 (+1.85 to +2.35) points" in text
    assert "- ccnet: no difference shown to the baseline 'fcn'" in text
    assert '2 variants are compared with one baseline' in text
    assert (
        '| `danet` | +500 | 52.00 | 53.10 | 54.20 | 53.10 ± 1.10 (3) | +2.10 (+1.85 to +2.35) | '
        '1 min 30 s |'
    ) in text
    assert '| `anl` | +500 | 51.00 |  |  | 51.00 (1) | +1.00 (no interval) | 1 min 30 s |' in text
    assert '| `fcn` | 1,000 | 50.00 |' in text
    assert '| variant | **thin** | sky | pole | sign | bicyclist |' in text
    assert '| `danet` | 30.00 | 90.00 | no pixels | 20.00 | 40.00 |' in text
    assert 'mmattn ablate heads_alone_camvid --seeds 0 1 2 --amp\n' in text
    assert '- commit: abc1234 (9 runs); def5678 (1 run)\n- versions: torch 9.9\n' in text
    assert part(page, 'Six heads, one run each') == part(before, 'Six heads, one run each')

    assert '](images/study_heads_alone_camvid.png)' in text
    (picture,) = draw_results(checkout)
    assert picture == checkout / 'docs/images/study_heads_alone_camvid.png'
    with Image.open(picture) as image:
        danet, ccnet = (Bar(*each) for each in json.loads(image.text['Description']))
    assert (danet.name, danet.mean, danet.values) == ('danet', 2.1, [2.0, 2.1, 2.2])
    # 0, 0 and -4 points: -4 / 3 ± 4.3027 * 2.3094 / sqrt(3)
    assert (ccnet.name, round(ccnet.low, 2), round(ccnet.high, 2)) == ('ccnet', -7.07, 4.40)


def test_picture_tells_the_costs_of_variants_that_are_one_mechanism(checkout):
    study = checkout / 'configs/studies/toy_context.py'
    for seed in range(3):
        for variant, miou in (('none', 50.0), ('cbam', 52.0), ('criss_cross', 53.0)):
            append(checkout, variant, seed, miou + seed, study=study.stem)
    assert 'those of the mechanism alone' in render_results(checkout)
    (picture,) = draw_results(checkout)
    with Image.open(picture) as image:
        bars = [Bar(*each) for each in json.loads(image.text['Description'])]
    table = (REPO / 'docs/zoo.md').read_text()
    criss_cross, cbam = ([bar.name, *bar.notes] for bar in bars)
    assert re.search(r'`CBAM` .*\| {} \(.*\| {} \(.*\| {} \('.format(*cbam[1:]), table)
    assert criss_cross == ['criss_cross', '328 k', '3.3 G', '52 MiB']  # twice, with one's weights


def test_rows_of_a_changed_config_are_not_mixed(checkout):
    append(checkout, 'fcn', 0, 10.0)
    append(checkout, 'fcn', 1, 20.0, digest='1')
    text = part(render_results(checkout), 'Which of the six heads does better than an FCN')
    assert '| `fcn` | 1,000 | 20.00 | 20.00 (1) |' in text
    assert 'not counted: 1 row of earlier configs, or of other options' in text


def test_rows_of_an_unknown_study_are_told(checkout):
    append(checkout, 'fcn', 0, 50.0, study='nowhere')
    with pytest.raises(UserError, match='rows of study nowhere, but there is no .*nowhere.py'):
        render_results(checkout)
