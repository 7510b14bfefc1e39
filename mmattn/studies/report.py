"""The report of a study, from what its finished runs have left."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mmattn.engine.runner import separate_run
from mmattn.errors import UserError
from mmattn.files import write_atomically
from mmattn.studies import report_text, tables
from mmattn.studies.costs import VariantCost, costs_of
from mmattn.studies.drawing import CAPTION, bars_of, draw_differences
from mmattn.studies.folder import (
    config_path,
    earlier_note,
    holds_config_of,
    plan_runs,
    study_folder,
)
from mmattn.studies.gallery import draw, largest_differences
from mmattn.studies.overview import curves_of
from mmattn.studies.plan import load_study
from mmattn.studies.results import Results, class_iou, collect, group_iou, miou
from mmattn.studies.statistics import mean_and_sd
from mmattn.visualization.comparisons import (
    Point,
    plot_against_costs,
    plot_all_curves,
)
from mmattn.visualization.document import Block, Heading, Paragraph, Picture, to_html, to_markdown
from mmattn.visualization.heat_map import plot_heat_map


def report(study: str | Path, *, work_dir: str | Path | None = None) -> Path:
    """Write the report of a study: report.md, report.html, results.csv, results.json, pictures.

    Args:
        study: Study file, or the name of one in `configs/studies`.
        work_dir: Folder of its runs; default `work_dirs/studies/<name of the study>`.

    Returns:
        `report.html`, in the folder `report` of the runs.

    Raises:
        UserError: No run is finished.
    """
    with separate_run():
        return _report(study, work_dir)


def _report(study: str | Path, work_dir: str | Path | None) -> Path:
    plan = load_study(study)
    folder = study_folder(plan, work_dir)
    note = earlier_note(folder)
    if not note:
        raise UserError(f'{folder} holds no runs of study {plan.name}; `mmattn ablate` makes them')
    runs = plan_runs(plan, folder, note['seeds'], note['amp'])
    results = collect(plan, runs)
    costs = _costs(results, folder)
    out = folder / 'report'
    out.mkdir(exist_ok=True)
    for outdated in out.glob('*.png'):
        outdated.unlink()

    def relative(path: Path) -> str:
        return os.path.relpath(path, out)

    blocks = [
        Heading(f'{plan.name}: {plan.question}', 1),
        *report_text.summary(results),
        *_pictures(results, costs, out),
        *tables.of_variants(results, costs),
        *tables.of_classes(results),
        *_gallery(results, out),
        *tables.of_runs(results, relative),
        *report_text.notes(results, costs, note),
    ]
    texts = {
        'report.md': to_markdown(blocks),
        'results.csv': tables.csv_of_runs(results, relative),
        'results.json': json.dumps(_numbers(results, costs, note, relative), indent=1),
        'report.html': to_html(blocks, f'{plan.name}: {plan.question}'),
    }
    for name, text in texts.items():
        write_atomically(out / name, text)
    return out / 'report.html'


def _costs(results: Results, folder: Path) -> dict[str, VariantCost]:
    """Of the variants with finished runs, beside the baseline, as far as their configs are there.

    The config of a variant that was edited since is left alone: runs may be reading it.
    """
    study = results.study
    paths = {}
    for name, variant in study.variants.items():
        path = config_path(folder, variant)
        if not path.is_file():
            write_atomically(path, variant.text.encode())
        wanted = name == study.baseline or results.measured[name]
        if wanted and holds_config_of(variant, path):
            paths[name] = path
    return costs_of(study, paths) if study.baseline in paths else {}


def _pictures(results: Results, costs: dict[str, VariantCost], out: Path) -> list[Block]:
    """The pictures for which there are numbers."""
    study = results.study
    pictures: list[Block] = []
    compared = [name for name in study.variants if name != study.baseline]
    bars = bars_of({name: results.pairs(name, miou) for name in compared})
    if bars:
        path = draw_differences(bars, study.baseline, out / 'differences.png')
        pictures.append(Picture(path, CAPTION))
    pictures += _cost_picture(results, costs, out)
    curves = {
        name: [curves_of(each.run) for each in seeds.values()]
        for name, seeds in results.measured.items()
        if seeds
    }
    path = plot_all_curves(curves, out / 'curves.png')
    pictures.append(Picture(path, 'Training loss and validation mIoU of every finished run.'))
    pictures += _class_picture(results, out)
    return [Heading('Pictures'), *pictures]


def _cost_picture(results: Results, costs: dict[str, VariantCost], out: Path) -> list[Picture]:
    kinds: dict[str, Callable[[VariantCost], float | None]] = {
        'multiply-adds (G)': lambda cost: cost.macs and cost.macs / 1e9,
        'latency (ms)': lambda cost: cost.latency,
    }
    panels = {
        label: points for label, kind in kinds.items() if (points := _points(results, costs, kind))
    }
    if not panels:
        return []
    path = plot_against_costs(panels, out / 'costs.png', label='mIoU (%)')
    return [Picture(path, 'Mean mIoU and standard deviation over seeds, against what it costs.')]


def _points(
    results: Results,
    costs: dict[str, VariantCost],
    kind: Callable[[VariantCost], float | None],
) -> list[Point]:
    points = []
    for name in results.measured:
        scores = list(results.values(name, miou).values())
        cost = kind(costs[name]) if name in costs else None
        if scores and cost is not None:
            mean, sd = mean_and_sd(scores)
            points.append(Point(name, cost, mean, sd))
    return points


def _class_picture(results: Results, out: Path) -> list[Picture]:
    """Mean difference to the baseline of each class."""
    study = results.study
    classes = results.classes
    values = {}
    for variant in study.variants:
        for name in classes:
            found = results.difference(variant, class_iou(name))
            if variant != study.baseline and found:
                values[name, variant] = found.mean
    if not values:
        return []
    grouped = {name for group in study.class_groups.values() for name in group}
    rest = [name for name in classes if name not in grouped]
    groups = {**study.class_groups, **({'' if not grouped else 'others': rest} if rest else {})}
    largest = max(1.0, *(abs(value) for value in values.values()))
    path = plot_heat_map(
        groups,
        [name for name in study.variants if name != study.baseline],
        values,
        out / 'classes.png',
        title=f'IoU of each class minus that of the baseline {study.baseline!r}, mean over seeds',
        limits=(-largest, largest),
        label='difference (points)',
        colours='RdBu',
        form='+.1f',
        extend='neither',
    )
    return [Picture(path, 'Differences class by class. Blue: better than the baseline.')]


def _gallery(results: Results, out: Path) -> list[Block]:
    drawn = draw(results, largest_differences(results), out)
    if not drawn:
        return [
            Heading('Images with the largest difference'),
            Paragraph(
                'Not measured: the metric did not count the areas of each image, or the data is '
                'not where it was, or the predictions are not.'
            ),
        ]
    return [
        Heading('Images with the largest difference'),
        *(Picture(path, caption) for path, caption in drawn),
    ]


def _numbers(
    results: Results,
    costs: dict[str, VariantCost],
    note: dict,
    relative: Callable[[Path], str],
) -> dict:
    """All of the report that is a number."""
    study = results.study
    variants = {}
    for name in study.variants:
        scores = results.values(name, miou)
        mean, sd = mean_and_sd(list(scores.values())) if scores else (None, None)
        found = results.difference(name, miou) if name != study.baseline else None
        over_images = results.interval_over_images(name) if found else None
        variants[name] = {
            'miou': {'mean': mean, 'sd': sd, 'seeds': sorted(scores)},
            'difference': found and {**asdict(found), 'shown': found.shown},
            'interval_over_seeds': results.interval_over_seeds(name) if found else None,
            'interval_over_images': over_images,
            'cost': asdict(costs[name]) if name in costs else None,
            'groups': {
                group: results.values(name, group_iou(classes))
                for group, classes in study.class_groups.items()
            },
        }
    versions = {each.run: each.origin['versions'] for each in results.finished}
    runs = [
        {'variant': run.variant, 'seed': run.seed, **run.state()}
        | {'metrics': (run.metrics() or {}).get('metrics')}
        | {'class_iou': (run.metrics() or {}).get('class_iou')}
        | {'checkpoint': run.checkpoint and relative(run.checkpoint)}
        | {'versions': versions.get(run)}
        for run in results.runs
    ]
    return {
        'study': study.name,
        'question': study.question,
        'baseline': study.baseline,
        'amp': note['amp'],
        'seeds': note['seeds'],
        'variants': variants,
        'runs': runs,
    }
