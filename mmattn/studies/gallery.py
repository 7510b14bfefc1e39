"""The images on which a variant and the baseline differ most."""

from pathlib import Path
from typing import NamedTuple

import mmcv
import numpy as np
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmattn.engine.hooks.image_files import image_file_names
from mmattn.errors import UserError
from mmattn.evaluation.scores import mean_of_present
from mmattn.files import replacing
from mmattn.preflight.config import load_config
from mmattn.studies.results import Results
from mmattn.visualization.panels import label_panels

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
        cfg = load_config(run.config)
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        paths = [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]
    except (OSError, UserError):
        return []
    files = image_file_names(paths)
    drawn = []
    for number, contrast in enumerate(contrasts, 1):
        if contrast.image not in files:  # the data lies elsewhere now
            continue
        both = study.baseline, contrast.variant
        common = set.intersection(*(set(results.measured[name]) for name in both))
        seed = min(common)
        meta = dataset.metainfo
        try:
            sample = dataset[paths.index(contrast.image)]['data_samples']
            first = int(bool(sample.get('reduce_zero_label')))
            maps = {'ground truth': sample.gt_sem_seg.data[0].numpy()}
            for name in both:
                folder_of_run = results.measured[name][seed].run.predictions
                labels = np.asarray(Image.open(folder_of_run / files[contrast.image]))
                maps[f'{name}, seed {seed}'] = labels.astype(np.int64) - first
            image = mmcv.imread(contrast.image, channel_order='rgb')
            panel = label_panels(image, maps, meta.get('palette'), meta['classes'])
        except (OSError, UserError):  # files that are gone, labels of another size than the image
            continue
        path = folder / f'gallery{number}.png'
        with replacing(path) as unfinished:
            Image.fromarray(panel).save(unfinished)
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
