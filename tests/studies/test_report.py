"""The report of a study, over results as runs leave them."""

import csv
import json
import re
import shutil
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmattn.datasets.toy_scenes import CLASSES
from mmattn.errors import UserError
from mmattn.evaluation.report import areas_of_images, write_report
from mmattn.studies import costs
from mmattn.studies.costs import costs_of
from mmattn.studies.folder import plan_runs, write_configs, write_note
from mmattn.studies.gallery import Contrast, draw, largest_differences
from mmattn.studies.plan import Study, load_study
from mmattn.studies.report import report
from mmattn.studies.report_text import verdict
from mmattn.studies.results import collect, relative_names
from mmattn.studies.runs import DONE, FAILED, Run
from mmattn.studies.statistics import Difference

SEEDS = (0, 1, 2)


def leave_results(
    run: Run, data: Path, gain: float, classes: tuple[str, ...] = tuple(CLASSES)
) -> None:
    """Write what the commands write for a finished run; ``gain`` is in points of IoU."""
    rng = np.random.default_rng(run.seed)
    images = sorted((data / 'toy/leftImg8bit/val/toyville').glob('*.png'))
    union = np.full((len(images), len(classes)), 1000)
    intersection = rng.integers(300, 600, union.shape) + round(10 * gain)
    areas = np.stack([intersection, union, union, union], axis=1)
    of_classes = 100 * intersection.sum(0) / union.sum(0)
    run.predictions.mkdir(parents=True)
    metrics = {'aAcc': 50.0, 'mIoU': round(of_classes.mean(), 2)}
    class_iou = {name: round(v, 2) for name, v in zip(classes, of_classes, strict=True)}
    (run.predictions / 'metrics.json').write_text(
        json.dumps({'metrics': metrics, 'class_iou': class_iou})
    )
    rows = areas_of_images([str(image) for image in images], areas, classes)
    write_report(run.folder / 'evaluation', {'classes': [{'class': 'sky'}]}, classes, None, rows)
    for image in images:
        labels = rng.integers(0, len(classes), (128, 256), np.uint8)
        Image.fromarray(labels).save(run.predictions / image.name)
    scalars = run.work_dir / '20260101_000000/vis_data/scalars.json'
    scalars.parent.mkdir(parents=True)
    lines = [{'loss': 2 / step, 'step': step} for step in range(1, 5)]
    lines += [{'mIoU': metrics['mIoU'], 'step': 4}]
    scalars.write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
    checkpoint = run.work_dir / 'iter_4.pth'
    checkpoint.write_bytes(b'weights')
    checkpoint.with_suffix('.json').write_text(json.dumps({'versions': {'torch': '9.9'}}))
    run.log.write_text('$ mmattn train\n')
    seconds = dict(train_seconds=60, test_seconds=5)
    run.note(state=DONE, checkpoint=str(checkpoint), **seconds, **run.written_metrics())


@pytest.fixture
def six_runs(write_study, toy_data, tmp_path):
    """Study, folder and runs: two variants, three seeds."""
    file, folder = write_study(seeds=SEEDS), tmp_path / 'work'
    study = load_study(file)
    write_configs(study, folder)
    write_note(folder, False, SEEDS)
    runs = plan_runs(study, folder, SEEDS, amp=False)
    for run in runs:
        gain = {'none': 0, 'se': 4 + 0.2 * run.seed}[run.variant]
        leave_results(run, toy_data, gain)
    return file, folder, runs


class _Sources(HTMLParser):
    """Whatever a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        self.found += [value for key, value in attributes if key in ('src', 'srcset')]
        assert tag not in ('link', 'script', 'iframe')


def test_six_finished_runs_are_reported_within_twenty_seconds(six_runs):
    file, folder, runs = six_runs
    began = time.process_time()
    page = report(file, work_dir=folder)
    assert time.process_time() - began < 20

    out = folder / 'report'
    assert page == out / 'report.html'
    text = (out / 'report.md').read_text()
    assert (
        "se: better than the baseline 'none' (+4.20 (+3.70 to +4.70) points of mIoU, 3 seeds)."
        in text
    )
    assert 'Runs: 6 of 6 done.' in text
    assert '| hulls IoU |' in text
    assert 'seeds for 0.5' in text and '- versions: torch 9.9\n' in text
    assert 'Frames of one video are alike' in text
    (row,) = (line for line in text.splitlines() if line.startswith('| se |') and ' MB ' in line)
    assert '| +4.20 (+3.70 to +4.70) | (+4.00 to +4.40) |' in row
    for name in re.findall(r'\]\((.+?)\)', text):
        assert (out / name).is_file(), name
    assert len(list(out.glob('gallery*.png'))) == 6

    sources = _Sources()
    sources.feed(page.read_text())
    assert len(sources.found) == 10
    assert all(source.startswith('data:image/png;base64,') for source in sources.found)

    rows = list(csv.DictReader((out / 'results.csv').open()))
    assert [(row['variant'], row['seed'], row['state']) for row in rows] == [
        (run.variant, str(run.seed), DONE) for run in runs
    ]
    hulls = (float(rows[0]['IoU car']) + float(rows[0]['IoU boat'])) / 2
    assert float(rows[0]['IoU hulls']) == pytest.approx(hulls)

    numbers = json.loads((out / 'results.json').read_text())
    se = numbers['variants']['se']
    assert se['difference']['mean'] == pytest.approx(4.2)
    assert se['difference']['shown'] and se['difference']['seeds'] == 3
    assert se['interval_over_seeds'] == pytest.approx([4.0, 4.4])
    assert numbers['variants']['none']['interval_over_seeds'] is None
    assert se['interval_over_images'][0] < 4.3 and se['interval_over_images'][1] > 4.1
    assert se['cost']['parameters'] > numbers['variants']['none']['cost']['parameters']
    assert se['cost']['latency'] > 0 and se['cost']['activations'] > 0


def test_what_is_not_there_is_said_not_invented(six_runs, monkeypatch):
    """One seed of se, without areas of images; the second failed, the third is to do."""
    file, folder, runs = six_runs
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    one, two, three = (run for run in runs if run.variant == 'se')
    (one.folder / 'evaluation_images.csv').unlink()
    two.note(state=FAILED, error='RuntimeError: boom | bang')
    (three.folder / 'state.json').unlink()
    report(file, work_dir=folder)
    text = (folder / 'report/report.md').read_text()
    assert 'One seed shows no difference' in text
    assert 'Failed: se seed 1. Not finished: se seed 2.' in text
    (row,) = (line for line in text.splitlines() if line.startswith('| se |') and ' MB ' in line)
    assert '(one seed, no interval) | not enough seeds | not measured | not measured |' in row
    assert 'Images with the largest difference\n\nNot measured' in text
    assert 'RuntimeError: boom \\| bang' in text
    assert not list((folder / 'report').glob('gallery*.png'))


def test_a_score_of_nan_is_none(six_runs, monkeypatch):
    """Its seed is compared in no variant; the others are."""
    file, folder, runs = six_runs
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    runs[-1].note(metrics={'aAcc': 50.0, 'mIoU': float('nan')})
    report(file, work_dir=folder)
    text = (folder / 'report/report.md').read_text()
    assert re.search(r"se: .*'none' \(\+4\.10 .*, 2 seeds\)", text)
    assert 'nan' not in text


def test_an_edited_baseline_has_no_costs_until_its_config_is_written(six_runs):
    """Else the costs of the old config would be kept under the digest of the new one."""
    file, folder, _ = six_runs
    edited = "none={'model.backbone.base_channels': 16}"
    file.write_text(file.read_text().replace('none=dict()', edited))
    report(file, work_dir=folder)
    assert not list(folder.glob('*/cost.json'))
    text = (folder / 'report/report.md').read_text()
    assert 'multiply-adds and latency: not measured, since the baseline was edited' in text


def test_without_its_data_or_predictions_there_is_a_report(six_runs, monkeypatch):
    file, folder, runs = six_runs
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    for run in runs:
        shutil.rmtree(run.predictions)
    report(file, work_dir=folder)
    text = (folder / 'report/report.md').read_text()
    assert 'se: better than the baseline' in text
    assert 'Images with the largest difference\n\nNot measured' in text
    results = collect(load_study(file), runs)
    config = runs[0].config.read_text()
    data = re.search(r"'data_root': '(.+?)'", config)[1]
    runs[0].config.write_text(config.replace(data, '/nowhere'))
    assert draw(results, [Contrast('se', 'image.png', 2.0, 1.0)], folder) == []


def test_an_image_without_counted_classes_is_in_no_gallery():
    areas = np.array([[[5, 0], [10, 10]], [[0, 0], [0, 0]], [[9, 0], [10, 10]]])
    own = areas.copy()
    own[2, 0, 0] = 1
    own[0, 0, 0] = 4

    class Found:
        study = Study('study', 'Why?', 'none', dict.fromkeys(('none', 'se', 'cbam')))

        def images(self, variant):
            return ['a', 'b', 'c'], [areas], [own if variant == 'se' else areas]

    found = largest_differences(Found())
    assert [(each.variant, each.image) for each in found] == [('se', 'c'), ('se', 'a')]


def test_a_cost_is_measured_once(six_runs, monkeypatch):
    file, folder, runs = six_runs
    study, configs = load_study(file), {run.variant: run.config for run in runs}
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    costs_of(study, configs)
    path = folder / 'se/cost.json'
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {'latency': 12345.6}))
    assert costs_of(study, configs)['se'].latency == 12345.6
    path.write_text(json.dumps(known | {'latency': 12345.6, 'machine': 'another'}))
    assert costs_of(study, configs)['se'].latency != 12345.6


def test_without_a_finished_run_there_is_no_report(write_study, tmp_path):
    file = write_study()
    with pytest.raises(UserError, match='mmattn ablate'):
        report(file, work_dir=tmp_path / 'work')
    write_note(tmp_path / 'work', False, [0])
    with pytest.raises(UserError, match='no run of study tiny is finished'):
        report(file, work_dir=tmp_path / 'work')


def test_the_report_is_the_same_wherever_the_data_lies(six_runs, monkeypatch):
    file, folder, _ = six_runs
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    report(file, work_dir=folder)
    known = (folder / 'se/cost.json').read_bytes()
    monkeypatch.delenv('MMATTN_DATA')
    report(file, work_dir=folder)
    text = (folder / 'report/report.md').read_text()
    assert 'Runs: 6 of 6 done.' in text
    assert 'multiply-adds and latency: of one image' in text
    assert (folder / 'se/cost.json').read_bytes() == known


def test_runs_of_other_settings_are_named_where_there_are_no_others(six_runs):
    file, folder, _ = six_runs
    file.write_text(file.read_text().replace('base_channels=8', 'base_channels=16'))
    with pytest.raises(UserError, match=r'but 6 with others, such as .*none/seed0: take back'):
        report(file, work_dir=folder)


def test_variants_of_other_classes_are_compared_in_those_that_they_share(
    six_runs, toy_data, monkeypatch
):
    file, folder, runs = six_runs
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    file.write_text(file.read_text().replace('dict(hulls=', "dict(above=['sky', 'car'], hulls="))
    for run in runs:
        if run.variant == 'se':
            shutil.rmtree(run.folder)
            leave_results(run, toy_data, 4, ('street', *CLASSES[1:], 'fog'))
    report(file, work_dir=folder)
    text = (folder / 'report/report.md').read_text()
    assert re.search(r'\n\| sky \| \d+\.\d+ \| not in its data \|\n', text)
    assert re.search(r'\n\| street \| not in its data \| \d+\.\d+ \|\n', text)
    assert re.search(r'\n\| car \| \d+\.\d+ \| \d+\.\d+ \|\n', text)
    (row,) = (line for line in text.splitlines() if line.startswith('| se |') and ' MB ' in line)
    _, _, above, hulls, _, _, over_images, *_ = row.split(' | ')
    assert above == over_images == 'not measured' and '(3)' in hulls
    assert (folder / 'report/classes.png').is_file()
    none, *_, se = csv.DictReader((folder / 'report/results.csv').open())
    assert none['IoU sky'] and se['IoU street']
    assert none['IoU street'] == se['IoU sky'] == se['IoU above'] == ''


@pytest.mark.parametrize('noted', ['train/iter_4.pth', 'work_dirs/studies/tiny/x/train/iter_4.pth'])
def test_a_folder_that_was_moved_keeps_its_links_and_versions(
    six_runs, tmp_path, monkeypatch, noted
):
    """Earlier versions noted the checkpoint as seen from where the study was started."""
    file, folder, runs = six_runs
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    for run in runs:
        run.note(checkpoint=noted)
    (tmp_path / 'elsewhere').mkdir()
    moved = folder.rename(tmp_path / 'elsewhere/moved')
    report(file, work_dir=moved)
    out = moved / 'report'
    text = (out / 'report.md').read_text()
    assert text.count('[checkpoint](../none/seed') == 3 and 'torch 9.9' in text
    rows = [*csv.DictReader((out / 'results.csv').open())]
    rows += json.loads((out / 'results.json').read_text())['runs']
    assert all((out / row['checkpoint']).is_file() for row in rows) and len(rows) == 12


def test_a_report_names_what_made_its_runs_not_what_looked_at_them_last(six_runs, monkeypatch):
    file, folder, runs = six_runs
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    for run in runs[:-1]:
        run.note(commit='abc1234' if run.seed else 'def5678', machine='a processor, 2 cores')
    runs[0].checkpoint.with_suffix('.json').write_text(json.dumps({'versions': {'torch': '8.8'}}))
    runs[1].checkpoint.with_suffix('.json').unlink()
    note = json.loads((folder / 'study.json').read_text())
    (folder / 'study.json').write_text(json.dumps(note | {'commit': 'of the last start'}))
    report(file, work_dir=folder)
    text = (folder / 'report/report.md').read_text()
    assert '- commit: def5678 (2 runs); abc1234 (3 runs); not noted (1 run)\n' in text
    assert '- versions: torch 8.8 (1 run); torch 9.9 (4 runs); not noted (1 run)\n' in text
    assert '- machine: a processor, 2 cores (5 runs); not noted (1 run)\n' in text
    numbers = (folder / 'report/results.json').read_text()
    assert 'last start' not in text + numbers
    assert json.loads(numbers)['runs'][0]['versions'] == 'torch 8.8'


def test_a_file_in_the_place_of_the_runs_is_told(write_study, tmp_path):
    (tmp_path / 'file').touch()
    for place in ('file', 'file/below'):
        with pytest.raises(UserError, match=f'{place} cannot hold the runs .*--work-dir'):
            report(write_study(), work_dir=tmp_path / place)


def test_a_class_group_of_unknown_classes_is_told(six_runs):
    file, folder, _ = six_runs
    file.write_text(file.read_text().replace("['car', 'boat']", "['car', 'ship']"))
    with pytest.raises(UserError, match="names 'ship'; the classes are sky, building"):
        report(file, work_dir=folder)


@pytest.mark.parametrize(
    ('difference', 'words'),
    [
        (
            Difference(1.0, 0.1, 0.5, 1.5, 3),
            "a: better than the baseline 'b' (+1.00 (+0.50 to +1.50) points",
        ),
        (Difference(-1.0, 0.1, -1.5, -0.5, 3), "a: worse than the baseline 'b' (-1.00"),
        (
            Difference(1.0, 2.0, -1.0, 3.0, 3),
            "a: no difference shown to the baseline 'b' (+1.00 (-1.00 to +3.00)",
        ),
        (Difference(9.0, None, None, None, 1), 'One seed shows no difference'),
        (None, 'a: not measured'),
    ],
)
def test_the_words_follow_from_the_numbers(difference, words):
    assert words in verdict('a', 'b', difference)


def test_images_are_paired_wherever_the_data_lay(six_runs, monkeypatch):
    """As where it was moved between two starts."""
    file, folder, runs = six_runs
    before = collect(load_study(file), runs).interval_over_images('se')
    areas = next(run for run in runs if run.variant == 'se').folder / 'evaluation_images.csv'
    data = Path(next(csv.DictReader(areas.open()))['image']).parents[2]
    areas.write_text(areas.read_text().replace(str(data), '/mnt/another place'))
    assert collect(load_study(file), runs).interval_over_images('se') == before
    monkeypatch.setattr(costs, 'SECONDS', 0.1)
    report(file, work_dir=folder)
    assert list((folder / 'report').glob('gallery*.png'))


def test_a_line_that_was_cut_off_hides_no_memory(six_runs):
    file, _, (run, *_) = six_runs
    scalars = run.work_dir / '20260101_000000/vis_data/scalars.json'
    scalars.write_text('{"memory": 812, "step": 1}\n{"step": 2}\n{"step": 3, "memory": 9')
    assert collect(load_study(file), [run]).finished[0].gpu_memory == 812


def test_names_of_images_are_those_below_their_common_folder():
    same = {'a/1.png': '/x/data/a/1.png', 'b/1.png': '/x/data/b/1.png'}
    assert relative_names(same.values()) == same
    here = Path('b/1.png').absolute()
    assert set(relative_names([str(here.parents[1] / 'a/1.png'), 'b/1.png']).values()) == {
        str(here.parents[1] / 'a/1.png'),
        'b/1.png',
    }
    assert relative_names([]) == {}
