"""The tables of a report."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from mmattn.cost import readable
from mmattn.studies.costs import VariantCost
from mmattn.studies.results import Results, class_iou, group_iou, miou
from mmattn.studies.runs import DONE
from mmattn.studies.statistics import Difference, mean_and_sd, seeds_needed
from mmattn.visualization.document import Block, Heading, Link, Paragraph, Table

NOT_MEASURED = 'not measured'
NOT_ENOUGH_SEEDS = 'not enough seeds'
DIFFERENCE = 0.5  # points of mIoU that a study is asked to be able to show


def of_variants(results: Results, costs: dict[str, VariantCost]) -> list[Block]:
    """A row for each variant: scores, difference, and costs."""
    study = results.study
    groups = [f'{name} IoU' for name in study.class_groups]
    header = ['variant', 'mIoU', *groups, 'minus baseline', 'over seeds', 'over images']
    header += [f'seeds for {DIFFERENCE}', 'parameters', 'multiply-adds', 'latency']
    header += ['activations', 'GPU memory', 'training']
    rows = []
    for name in study.variants:
        compared = name != study.baseline
        found = results.difference(name, miou) if compared else None
        over_seeds = results.interval_over_seeds(name) if found else None
        over_images = results.interval_over_images(name) if found else None
        measured = list(results.measured[name].values())
        memory = max((each.gpu_memory or 0 for each in measured), default=0)
        seconds = [each.run.state()['train_seconds'] for each in measured]
        rows.append(
            [
                name,
                score(list(results.values(name, miou).values())),
                *(
                    score(list(results.values(name, group_iou(classes)).values()))
                    for classes in study.class_groups.values()
                ),
                difference(found) if compared else 'baseline',
                _interval(over_seeds, NOT_ENOUGH_SEEDS) if compared else '',
                _interval(over_images) if compared else '',
                _seeds(found) if compared else '',
                *_costs(costs.get(name)),
                f'{memory / 1000:.1f} GB' if memory else NOT_MEASURED,
                f'{sum(seconds) / len(seconds) / 60:.1f} min' if seconds else NOT_MEASURED,
            ]
        )
    return [Heading('Variants'), Table(header, rows)]


def of_classes(results: Results) -> list[Block]:
    """IoU of each class, mean over seeds."""
    names = [name for name, seeds in results.measured.items() if seeds]
    rows = []
    for label in results.classes:
        cells = []
        for name in names:
            values = list(results.values(name, class_iou(label)).values())
            known = any(label in each.class_iou for each in results.measured[name].values())
            absent = 'no pixels' if known else 'not in its data'
            cells.append(f'{sum(values) / len(values):.2f}' if values else absent)
        rows.append([label, *cells])
    if not rows:
        return [Heading('Classes'), Paragraph('Not measured: the metric has no values of classes.')]
    return [Heading('Classes'), Paragraph('IoU, mean over seeds.'), Table(['class', *names], rows)]


def of_runs(results: Results, relative: Callable[[Path], str]) -> list[Block]:
    """Every run, with links to what it left.

    Args:
        results: Of the study.
        relative: A path as the report must name it.
    """
    rows = []
    for run in results.runs:
        state = run.state()
        measured = results.measured[run.variant].get(run.seed)
        found = miou(measured) if measured else None
        words = f'failed: {state.get("error")}' if state['state'] == 'failed' else state['state']
        links = [('log', run.log), ('curves', run.work_dir / 'curves.png')]
        links += [('checkpoint', run.checkpoint)] if run.checkpoint else []
        rows.append(
            [
                run.variant,
                str(run.seed),
                words,
                f'{found:.2f}' if found is not None else NOT_MEASURED,
                [Link(name, relative(path)) for name, path in links if path.is_file()] or '',
            ]
        )
    return [Heading('Runs'), Table(['variant', 'seed', 'state', 'mIoU', 'files'], rows)]


def csv_of_runs(results: Results, relative: Callable[[Path], str]) -> str:
    """A row for each run; what was not measured is empty.

    Args:
        results: Of the study.
        relative: A path as the report must name it.
    """
    classes = results.classes
    metrics = list(dict.fromkeys(name for each in results.finished for name in each.metrics))
    groups = results.study.class_groups
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(
        ['variant', 'seed', 'state', *metrics, *(f'IoU {name}' for name in [*groups, *classes])]
        + ['train_seconds', 'test_seconds', 'checkpoint', 'error']
    )
    for run in results.runs:
        state = run.state()
        each = results.measured[run.variant].get(run.seed) if state['state'] == DONE else None
        values = [None] * (len(metrics) + len(groups) + len(classes))
        if each:
            values = [each.metrics.get(name) for name in metrics]
            values += [group_iou(names)(each) for names in groups.values()]
            values += [class_iou(name)(each) for name in classes]
        last = [state.get('train_seconds'), state.get('test_seconds')]
        last += [run.checkpoint and relative(run.checkpoint), state.get('error')]
        rounded = [round(value, 4) if isinstance(value, float) else value for value in values]
        writer.writerow([run.variant, run.seed, state['state'], *rounded, *last])
    return text.getvalue()


def score(values: list[float]) -> str:
    """`71.20 ± 0.31 (3)`: mean, standard deviation, number of seeds."""
    if not values:
        return NOT_MEASURED
    mean, sd = mean_and_sd(values)
    return f'{mean:.2f}' + (f' ± {sd:.2f}' if sd is not None else '') + f' ({len(values)})'


def difference(found: Difference | None) -> str:
    """`+0.52 (-0.10 to 1.14)`."""
    if found is None:
        return NOT_MEASURED
    if found.low is None:
        return f'{found.mean:+.2f} (one seed, no interval)'
    return f'{found.mean:+.2f} {_interval((found.low, found.high))}'


def _interval(ends: tuple[float, float] | None, absent: str = NOT_MEASURED) -> str:
    return absent if ends is None else f'({ends[0]:+.2f} to {ends[1]:+.2f})'


def _seeds(found: Difference | None) -> str:
    if found is None or found.sd is None:
        return NOT_MEASURED
    return str(seeds_needed(found.sd, DIFFERENCE) or 'over 1000')


def _costs(cost: VariantCost | None) -> list[str]:
    if cost is None:
        return [NOT_MEASURED] * 4
    return [
        readable(cost.parameters),
        NOT_MEASURED if cost.macs is None else readable(cost.macs),
        NOT_MEASURED if cost.latency is None else f'{cost.latency:.1f} ms',
        NOT_MEASURED if cost.activations is None else f'{cost.activations / 1e6:.1f} MB',
    ]
