"""Curves of trainings, and the errors of their predictions, on one page.

MMSegmentation's `analyze_logs.py` and `confusion_matrix.py` draw some of it. The first needs
seaborn and draws twice what a resumed run repeats; the second pairs images with predictions by the
order of their names. What the reports of studies are drawn with serves here as well.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmattn.apis.error_page import number, write_errors
from mmattn.apis.options import check_outside_data
from mmattn.apis.prediction_errors import PredictionErrors, count_errors
from mmattn.engine.hooks.curve import scalar_files
from mmattn.engine.runner import separate_run
from mmattn.engine.saved_predictions import TestedImages
from mmattn.errors import UserError
from mmattn.evaluation.errors import DISTANCE_NAMES
from mmattn.evaluation.report import as_csv
from mmattn.files import check_writable, write_atomically
from mmattn.preflight.config import load_config, require_keys
from mmattn.preflight.data import check_data
from mmattn.visualization.comparisons import plot_all_curves
from mmattn.visualization.curves import Curve, read_curves
from mmattn.visualization.document import Block, Heading, Paragraph, Picture, Table, to_html
from mmattn.visualization.error_curves import plot_error_by_distance


def analyze(
    paths: Sequence[str | Path],
    *,
    config: str | Path | None = None,
    out: str | Path = 'analysis',
    images: int = 4,
    cfg_options: dict[str, Any] | None = None,
) -> Path:
    """Write a page of the curves of runs and of the errors in folders of predictions.

    Args:
        paths: work dirs of trainings, and folders that `mmattn test --out` wrote.
        config: config of the test data; default: the one that each folder of predictions names.
        out: folder of the page, its pictures, and all numbers as CSV and JSON.
        images: how many of the best and of the worst images are drawn for each prediction.
        cfg_options: overrides of the config, dotted key to value.

    Returns:
        The page, `index.html`, which holds its pictures itself.

    Raises:
        UserError: A path is neither of both, or whatever is wrong with config, data or predictions.
    """
    if images < 0:
        raise UserError(f'images is {images}: it must be at least 0')
    out = Path(out)
    check_writable(out, 'the folder of the analysis', 'name another with --out')
    runs: dict[str, tuple[Curve, Curve]] = {}
    predictions: dict[str, Path] = {}
    for name, path in zip(_names(paths), map(Path, paths), strict=True):
        if files := scalar_files(path):
            runs[name] = _curves(path, files)
        elif any(path.glob('*.png')):
            predictions[name] = path
        else:
            raise UserError(_unknown(path))
    with separate_run():
        errors = {
            name: _errors(folder, config, cfg_options, out) for name, folder in predictions.items()
        }
    blocks: list[Block] = [Heading('Analysis', 1)]
    blocks += _page_of_runs(runs, out) if runs else []
    if errors:
        blocks += _comparison(errors, out)
    for name, found in errors.items():
        blocks += [Heading(name), *write_errors(found, out / name, images)]
    numbers = {
        'runs': {name: _best(miou) for name, (_, miou) in runs.items()},
        'predictions': {name: found.report for name, found in errors.items()},
    }
    write_atomically(out / 'analysis.json', json.dumps(numbers, indent=1) + '\n')
    page = out / 'index.html'
    write_atomically(page, to_html(blocks, 'Analysis'))
    return page


def _names(paths: Sequence[str | Path]) -> list[str]:
    """Names of the folders, with more of the path where two share one."""
    parts = [Path(path).resolve().parts for path in paths]
    if len(set(parts)) < len(parts):
        raise UserError('a folder is named twice: name each once')
    length = 1
    while len({part[-length:] for part in parts}) < len(parts):
        length += 1
    return ['-'.join(part[-length:]).strip('/') for part in parts]


def _unknown(path: Path) -> str:
    if not path.is_dir():
        return f'{path} is no folder: give work dirs of trainings or folders of predictions'
    return (
        f'{path} is neither the work dir of a training (it has no */vis_data/scalars.json) nor a '
        'folder of predictions, which `mmattn test CONFIG CHECKPOINT --out FOLDER` writes'
    )


def _curves(path: Path, files: list[Path]) -> tuple[Curve, Curve]:
    loss, miou = read_curves(files)
    if not loss and not miou:
        raise UserError(f'{path} holds no curves yet: neither a loss nor an mIoU was logged')
    return loss, miou


def _errors(
    folder: Path, config: str | Path | None, cfg_options: dict[str, Any] | None, out: Path
) -> PredictionErrors:
    if config is None:
        try:
            config = json.loads((folder / 'metrics.json').read_bytes())['config']
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f'{folder} does not say which config it is of, since it has no metrics.json of '
                '`mmattn test --out`: give the config with --config'
            ) from error
    cfg = load_config(config, cfg_options)
    require_keys(cfg, config, 'model', 'test_dataloader')
    check_data(cfg, ['test_dataloader'], 'sample')
    check_outside_data(cfg, 'test_dataloader', '--out', out)
    return count_errors(TestedImages(cfg), folder)


def _best(miou: Curve) -> dict[str, float | int | None]:
    best = max(miou, key=miou.__getitem__, default=None)
    last = max(miou, default=None)
    scores = [None if step is None else round(miou[step], 4) for step in (best, last)]
    return {
        'best_miou': scores[0],
        'best_iteration': best,
        'last_miou': scores[1],
        'last_iteration': last,
    }


def _page_of_runs(runs: dict[str, tuple[Curve, Curve]], out: Path) -> list[Block]:
    rows = [
        [name, step, loss.get(step), miou.get(step)]
        for name, (loss, miou) in runs.items()
        for step in sorted({*loss, *miou})
    ]
    table = as_csv([['run', 'iteration', 'loss', 'mIoU'], *rows])
    write_atomically(out / 'curves.csv', table)
    picture = plot_all_curves({name: [pair] for name, pair in runs.items()}, out / 'curves.png')
    header = ['run', 'best mIoU', 'at iteration', 'last mIoU', 'at iteration']
    cells = [
        [name, *(f'{value:g}' if value is not None else '' for value in _best(miou).values())]
        for name, (_, miou) in runs.items()
    ]
    return [
        Heading('Runs'),
        Table(header, cells),
        Picture(picture, 'Training loss and validation mIoU of every run.'),
    ]


def _comparison(errors: dict[str, PredictionErrors], out: Path) -> list[Block]:
    names = list(next(iter(errors.values())).report['overall'])
    rows = [
        [name, *(number(found.report['overall'][score]) for score in names)]
        for name, found in errors.items()
    ]
    curves = {name: found.wrong_by_distance for name, found in errors.items()}
    picture = plot_error_by_distance(curves, DISTANCE_NAMES, out / 'errors_by_distance.png')
    return [
        Heading('Predictions'),
        Paragraph('In percent, over all test images; boundary IoU as of Cheng et al. (2021).'),
        Table(['prediction', *names], rows),
        Picture(
            picture,
            'How many of the pixels at a distance from the nearest boundary are wrong. The '
            'boundaries are those of the ground truth, void included; 1 is a pixel at one.',
        ),
    ]
