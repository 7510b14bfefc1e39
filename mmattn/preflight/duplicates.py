"""Images that are trained on and evaluated on as well."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mmengine.config import Config

from mmattn.files import sha256
from mmattn.preflight.data_sets import open_datasets


def check_duplicates(cfg: Config, training: str, evaluations: Sequence[str]) -> Iterator[str]:
    """Warnings of files with equal content in the images of data loaders.

    Args:
        cfg: The config.
        training: Key of a data loader, such as ``train_dataloader``.
        evaluations: Keys of others, each of which is held against it.
    """
    trained = Contents(_images(cfg, training))
    for evaluation in evaluations:
        evaluated = list(_images(cfg, evaluation))
        twins = [(path, twin) for path in evaluated if (twin := trained.twin(path))]
        if twins:
            second, first = twins[0]
            yield (
                f'{len(twins)} of the {len(evaluated)} images of {evaluation} are trained on as '
                f'well, such as {second}, which is {first}: metrics on them say little'
            )


class Contents:
    """Files that are found by their content. Each is read once at most, and only if need be."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._by_size: dict[int, list[Path]] = defaultdict(list)
        for path in paths:
            self._by_size[path.stat().st_size].append(path)
        self._digests: dict[int, dict[str, Path]] = {}

    def twin(self, path: Path) -> Path | None:
        """The file that has the content of another."""
        size = path.stat().st_size
        if size not in self._by_size:
            return None
        if size not in self._digests:
            self._digests[size] = {sha256(each): each for each in self._by_size[size]}
        return self._digests[size].get(sha256(path))


def _images(cfg: Config, loader: str) -> Iterable[Path]:
    for _, dataset, _ in open_datasets(cfg[loader].dataset, f'{loader}.dataset'):
        dataset.full_init()
        yield from (Path(sample['img_path']) for sample in dataset.data_list)
