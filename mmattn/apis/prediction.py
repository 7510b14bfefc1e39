"""What a model says of one image."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from mmattn.errors import UserError
from mmattn.files import write_atomically
from mmattn.visualization import overlay_labels, prediction_panel


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """The class of every pixel of an image; a notebook shows it as a picture.

    Attributes:
        labels: (H, W), uint8, or uint16 for more than 256 classes: the number of each pixel's
            class, counted from 0, at the image's own size.
        classes: Name of each class.
        palette: RGB colour of each class, 0 to 255.
        image: (H, W, 3) uint8, RGB: the image as the model was given it.
        path: File of the image; None where it was none.
        logits: (classes, H, W) float32 on the CPU, where they were asked for. A model with a single
            output for two classes has one probability a pixel instead.
        counts_from_one: Whether label files of the data set keep 0 for void, as ADE20K does. Then
            `save` writes ``labels + 1``.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    palette: list[list[int]]
    image: np.ndarray
    path: Path | None = None
    logits: Tensor | None = None
    counts_from_one: bool = False

    @property
    def shares(self) -> dict[str, float]:
        """Part of the area that each class has, those that occur, the largest first."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        order = np.argsort(-counts, kind='stable')
        shares = (counts[order] / self.labels.size).tolist()
        return {self.classes[i]: share for i, share in zip(order, shares, strict=True) if share}

    def overlay(self, opacity: float = 0.5) -> Image.Image:
        """The image with the classes' colours over it; at an opacity of 1 the colours alone."""
        return overlay_labels(self.image, self.labels, self.palette, opacity)

    def panel(self) -> Image.Image:
        """Image and prediction side by side over a legend; large images are scaled down."""
        arguments = self.image, None, self.labels, self.palette, self.classes
        return Image.fromarray(prediction_panel(*arguments))

    def index_image(self, ids: Sequence[int] | None = None) -> Image.Image:
        """The labels as a picture whose pixels are the values of label files.

        It has the classes' colours as its palette, and reopens as the same values, as in
        `numpy.asarray(PIL.Image.open(file))`. Values beyond 255 take 16 bits, without a palette.

        Args:
            ids: The value of each class; default: those of the data set's own files, its numbers.
        """
        first = int(self.counts_from_one)
        ids = np.array(range(first, first + len(self.classes)) if ids is None else ids, np.uint16)
        values = ids[self.labels]
        if ids.max() > 255:
            return Image.fromarray(values)
        picture = Image.fromarray(values.astype(np.uint8))
        colours = np.zeros((256, 3), np.uint8)
        colours[ids] = self.palette
        picture.putpalette(colours.tobytes())
        return picture

    def save(self, path: str | Path) -> None:
        """Write `index_image` as a PNG file; missing folders are made.

        Raises:
            UserError: The name of a file that would not keep the labels exact.
        """
        path = Path(path)
        if path.suffix.lower() != '.png':
            raise UserError(f'labels are saved as PNG, which keeps them: name {path.stem}.png')
        write_atomically(path, png(self.index_image()))

    def _repr_png_(self) -> bytes:
        return png(self.panel())

    def __repr__(self) -> str:
        height, width = self.labels.shape
        name = 'an image' if self.path is None else self.path.name
        shares = ', '.join(f'{name} {share:.1%}' for name, share in self.shares.items())
        return f'<Prediction of {name}, {width}x{height}: {shares}>'


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    file = io.BytesIO()
    picture.save(file, 'PNG')
    return file.getvalue()
