"""The images on which a variant and the baseline differ most."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmattn.engine.saved_predictions import TestedImages
from mmattn.errors import UserError
from mmattn.evaluation.scores import mean_of_present
from mmattn.files import replacing
from mmattn.preflight.config import load_config
from mmattn.studies.results import Results, relative_names

PICTURES = 6


class Contrast(NamedTuple):
    """An image, and the mIoU on it alone, in percent, mean over the common seeds."""

    variant: str
    image: str
    score: float
    baseline_score: float


def largest_differences(results: Results, count: int = PICTURES) -> list[Contrast]:
    """Images with the largest difference to the baseline, each once, the largest first."""
    found = []
    for variant in results.study.variants:
        names, *both = results.images(variant)
        if variant == results.study.baseline or not names:
            continue
        baseline, own = (_scores(areas) for areas in both)
        found += [Contrast(variant, *each) for each in zip(names, own, baseline, strict=True)]
    # NaN: an image without a counted class.
    found = [each for each in found if not np.isnan(each.score - each.baseline_score)]
    found.sort(key=lambda each: abs(each.score - each.baseline_score), reverse=True)
    first: dict[str, Contrast] = {}
    for each in found:
        first.setdefault(each.image, each)
    return list(first.values())[:count]


def draw(results: Results, contrasts: list[Contrast], folder: Path) -> list[tuple[Path, str]]:
    """Draw image, ground truth, and the predictions of baseline and variant, of one seed.

    Returns:
        Picture and caption of each whose data and predictions are where they were.
    """
    if not contrasts:
        return []
    study = results.study
    run = next(iter(results.measured[study.baseline].values())).run
    try:
        images = TestedImages(load_config(run.config))
    except (OSError, UserError):
        return []
    paths = relative_names(images.paths)
    drawn = []
    for number, contrast in enumerate(contrasts, 1):
        image = paths.get(contrast.image)
        if image is None:  # the data set is another now
            continue
        both = study.baseline, contrast.variant
        common = set.intersection(*(set(results.measured[name]) for name in both))
        seed = min(common)
        try:
            maps = {'ground truth': images.labels(image)}
            for name in both:
                predictions = results.measured[name][seed].run.predictions
                maps[f'{name}, seed {seed}'] = images.prediction(image, predictions)
            panel = images.panel(image, maps)
        except (OSError, UserError):  # files that are gone, labels of another size than the image
            continue
        path = folder / f'gallery{number}.png'
        with replacing(path) as unfinished:
            panel.save(unfinished)
        drawn.append(
            (
                path,
                f'{Path(contrast.image).name}: mIoU on this image {contrast.score:.1f} with '
                f'{contrast.variant}, {contrast.baseline_score:.1f} with {study.baseline} (mean '
                f'over seeds; drawn: seed {seed})',
            )
        )
    return drawn


def _scores(areas: list[np.ndarray]) -> np.ndarray:
    """mIoU of each image over the classes that occur in it, in percent, mean over seeds."""
    with np.errstate(invalid='ignore'):  # 0 / 0: a class that is not there
        return np.mean([100 * mean_of_present(each[:, 0] / each[:, 1]) for each in areas], axis=0)
