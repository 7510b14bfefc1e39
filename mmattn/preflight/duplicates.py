"""Images that are trained on and evaluated on as well."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config

from mmattn.files import sha256
from mmattn.preflight.data_sets import open_datasets


def check_duplicates(cfg: Config, training: str, evaluation: str) -> list[str]:
    """Warnings of files with equal content in the images of two data loaders.

    Args:
        cfg: The config.
        training, evaluation: Keys of the data loaders, such as ``train_dataloader``.
    """
    trained = list(_images(cfg, training))
    evaluated = list(_images(cfg, evaluation))
    pairs = equal_files(trained, evaluated)
    if not pairs:
        return []
    first, second = pairs[0]
    return [
        f'{len(pairs)} of the {len(evaluated)} images of {evaluation} are trained on as well, such '
        f'as {second}, which is {first}: metrics on them say little'
    ]


def equal_files(some: Iterable[Path], others: Iterable[Path]) -> list[tuple[Path, Path]]:
    """For each of the other files that has the content of one of the first, both; by content.

    Only files of one size are read.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in some:
        by_size[path.stat().st_size].append(path)
    digests: dict[int, dict[str, Path]] = {}
    pairs = []
    for path in others:
        size = path.stat().st_size
        if size not in by_size:
            continue
        if size not in digests:
            digests[size] = {sha256(each): each for each in by_size[size]}
        twin = digests[size].get(sha256(path))
        if twin is not None:
            pairs.append((twin, path))
    return pairs


def _images(cfg: Config, loader: str) -> Iterable[Path]:
    for _, dataset, _ in open_datasets(cfg[loader].dataset, f'{loader}.dataset'):
        dataset.full_init()
        yield from (Path(sample['img_path']) for sample in dataset.data_list)
