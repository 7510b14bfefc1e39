"""One file per test image."""

import hashlib
import io
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image

from mmattn.files import check_writable, write_atomically


class ImageFilesHook(Hook):
    """Writes ``picture`` of every test image as ``out_dir/<image stem>.png``.

    Where images of different folders share a stem, all of them carry a digest of their path as
    well. The names depend on the data set alone, not on the order of its images or the number of
    processes, so that testing again replaces pictures and never mixes them.

    Args:
        out_dir: folder of the files, made where it is missing.

    Raises:
        UserError: if the folder cannot be made or written to.
    """

    def __init__(self, out_dir: str | Path) -> None:
        self.out_dir = Path(out_dir)
        check_writable(self.out_dir, 'the folder of pictures', 'name another')

    @abstractmethod
    def picture(self, sample: BaseDataElement) -> np.ndarray:
        """Pixels of (H, W) or (H, W, 3) for one prediction."""

    def before_test(self, runner: Runner) -> None:
        dataset = runner.test_dataloader.dataset
        self.meta = dataset.metainfo
        self.names = image_file_names(
            dataset.get_data_info(i)['img_path'] for i in range(len(dataset))
        )

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[BaseDataElement] = (),
    ) -> None:
        for sample in outputs:
            png = io.BytesIO()
            Image.fromarray(self.picture(sample)).save(png, 'PNG')
            write_atomically(self.out_dir / self.names[sample.img_path], png.getvalue())


def image_file_names(image_paths: Iterable[str]) -> dict[str, str]:
    """File name of the picture of each image: one to one, and the same in any order of images."""
    stems = {path: Path(path).stem for path in image_paths}
    shared = Counter(stems.values())
    return {
        path: f'{stem}.png' if shared[stem] == 1 else f'{stem}-{_digest(path)}.png'
        for path, stem in stems.items()
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:8]
