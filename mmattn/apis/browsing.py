"""Pictures of what a model sees of its data.

The `browse_dataset.py` of MMSegmentation shows what the pipeline of the training data gives, all of
it. Here padding and normalisation take part, batches come in the order of a training, and
evaluation data can be looked at as well.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed
from mmengine.structures import BaseDataElement
from mmseg.registry import MODELS
from PIL import Image
from torch import Tensor

from mmattn.apis.images import as_rgb
from mmattn.apis.options import check_outside_data
from mmattn.apis.unlabelled import drop_labels
from mmattn.engine.runner import Runner, separate_run
from mmattn.errors import UserError, explain_settings
from mmattn.files import check_writable, replacing, write_atomically
from mmattn.preflight.config import check_seed, load_config, require_keys
from mmattn.preflight.data import check_data
from mmattn.visualization.document import Heading, Paragraph, Picture, to_html
from mmattn.visualization.panels import label_panels

OPACITY = 0.5  # of the labels over the image
NO_WORKERS = dict(num_workers=0, persistent_workers=False, prefetch_factor=None, timeout=0)


def browse(
    config: str | Path,
    *,
    split: str = 'train',
    count: int = 12,
    out: str | Path | None = None,
    seed: int = 0,
    cfg_options: dict[str, Any] | None = None,
) -> Path:
    """Draw what the model of a config sees of its data: augmented, padded, labels over images.

    Each picture shows one image as it goes into the model, with the normalisation taken back; what
    was padded has the mean colour, and void (padding as well) dark lines.

    Args:
        config: config file.
        split: train, val or test.
        count: how many images, in the order in which the data loader gives them.
        out: folder of the pictures; default `work_dirs/<config name>/browse/<split>`.
        seed: of the order and the augmentations.
        cfg_options: overrides, dotted key to value.

    Returns:
        The page, `index.html`, which holds its pictures itself.

    Raises:
        UserError: Whatever can be known to be wrong with these or with the data.
    """
    if count < 1:
        raise UserError(f'count is {count}: it must be at least 1')
    check_seed(seed)
    loader = f'{split}_dataloader'
    out = Path(out or Path('work_dirs', Path(config).stem, 'browse', split))
    with separate_run():
        cfg = load_config(config, cfg_options)
        require_keys(cfg, config, 'model')
        if not cfg.get(loader):
            raise UserError(f'{config} has no {loader}')
        if not cfg.model.get('data_preprocessor'):
            raise UserError(f'{config} has no model.data_preprocessor, which prepares images')
        if split == 'test':
            drop_labels(cfg)
        check_outside_data(cfg, loader, '--out', out)
        check_writable(out, 'the folder of pictures', 'name another with --out')
        check_data(cfg, [loader], 'sample')
        set_random_seed(seed)
        with explain_settings():
            batches = Runner.build_dataloader({**cfg[loader], **NO_WORKERS}, seed=seed)
        meta = batches.dataset.metainfo
        pictures = []
        for number, (inputs, sample) in enumerate(islice(_seen(cfg, batches, split), count), 1):
            image = _as_image(inputs, cfg.model.data_preprocessor)
            maps = {'ground truth': _labels(sample, image)} if 'gt_sem_seg' in sample else {}
            panel = label_panels(image, maps, meta.get('palette'), meta['classes'], OPACITY)
            path = out / f'{number:03d}.png'
            with replacing(path) as unfinished:
                Image.fromarray(panel).save(unfinished)
            pictures.append(Picture(path, _caption(sample, image)))
    title = f'{Path(config).stem}: {split} data as the model sees it'
    facts = Paragraph(f'{len(pictures)} of {len(batches.dataset)} images, seed {seed}.')
    page = out / 'index.html'
    write_atomically(page, to_html([Heading(title, 1), facts, *pictures], title))
    return page


def _seen(cfg: Config, batches: Any, split: str) -> Iterator[tuple[Tensor, BaseDataElement]]:
    """What goes into the model, image by image: (C, H, W) and its sample."""
    with explain_settings():
        prepare = MODELS.build(cfg.model.data_preprocessor)
        for batch in batches:
            ready = prepare(batch, training=split == 'train')
            yield from zip(ready['inputs'], ready['data_samples'], strict=True)


def _as_image(inputs: Tensor, preprocessor: dict) -> np.ndarray:
    """(H, W, 3) uint8, RGB, of what the preprocessor of a config made."""
    if preprocessor.get('mean') is not None:
        mean, std = (torch.tensor(preprocessor[key]).view(-1, 1, 1) for key in ('mean', 'std'))
        inputs = inputs * std + mean
    if preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr'):
        inputs = inputs[[2, 1, 0]] if len(inputs) == 3 else inputs
    return as_rgb(inputs.round().permute(1, 2, 0).numpy())


def _labels(sample: BaseDataElement, image: np.ndarray) -> np.ndarray:
    """The labels (H, W) of a sample, at the size of its image.

    Test pipelines load labels after resizing, at the size of the file; padding of images that are
    tested has no labels: both are made up for here, padding as -1.
    """
    labels = sample.gt_sem_seg.data[0].numpy()
    if labels.shape == image.shape[:2]:
        return labels
    height, width = sample.img_shape[:2]
    resized = Image.fromarray(labels.astype(np.int32)).resize(
        (width, height), Image.Resampling.NEAREST
    )
    padding = [(0, whole - part) for whole, part in zip(image.shape, (height, width), strict=False)]
    return np.pad(np.asarray(resized), padding, constant_values=-1)


def _caption(sample: BaseDataElement, image: np.ndarray) -> str:
    """`street.png, 256x128: seen at 128x128, flipped`."""
    height, width = sample.ori_shape[:2]
    flipped = ', flipped' if sample.get('flip') else ''
    return (
        f'{Path(sample.img_path).name}, {width}x{height} (width x height): seen at '
        f'{image.shape[1]}x{image.shape[0]}{flipped}'
    )
