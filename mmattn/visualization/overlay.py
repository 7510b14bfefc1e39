"""Labels laid over their image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mmattn.errors import UserError
from mmattn.visualization.panels import paint


def overlay_labels(
    image: np.ndarray, labels: np.ndarray, palette: Sequence[Sequence[int]], opacity: float = 0.5
) -> Image.Image:
    """The image with the colour of each pixel's class over it.

    Args:
        image: (H, W, 3) uint8, RGB.
        labels: (H, W) integers.
        palette: one RGB colour of 0 to 255 per class.
        opacity: 0 shows the image alone, 1 the colours alone.

    Raises:
        UserError: An opacity that is not between 0 and 1.
    """
    if not 0 <= opacity <= 1:
        raise UserError(f'opacity is {opacity}: it goes from 0, the image, to 1, the colours')
    painted = paint(labels, np.array(palette, np.uint8))
    return Image.blend(Image.fromarray(image), painted, opacity)
