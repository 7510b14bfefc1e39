"""What the page asks of a model, as the plain values that a browser is sent."""

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmattn.apis import Segmentor
from mmattn.apis.attending import watch
from mmattn.apis.prediction import Prediction
from mmattn.errors import UserError
from mmattn.visualization.attention_drawing import Point
from mmattn.visualization.attention_panels import layer_panels
from mmattn.visualization.capture import CapturedAttention

MAX_SIDE = 1600  # pixels of the longer side of what is shown; labels and shares are of all pixels
MAX_PANELS = 12  # of one layer at one point


class ShownModel:
    """A model on the page.

    Attributes:
        name: What people call it: the config's name, and the checkpoint's.
        layers: Its attention modules, the one that is shown first in front.
    """

    def __init__(self, config: str | Path, checkpoint: str | Path, device: str | None) -> None:
        self.name = f'{Path(config).stem}, {Path(checkpoint).stem}'
        self.segmentor = Segmentor(config, checkpoint, device=device)
        try:
            modules = list(CapturedAttention(self.segmentor.model).modules)
        except UserError:  # it has none, and is shown all the same
            modules = []
        # What a head attends to is nearest to the prediction.
        self.layers = sorted(modules, key=lambda name: not name.startswith('decode_head'))

    def facts(self) -> dict[str, Any]:
        """What the page is told of it at the start."""
        return {
            'name': self.name,
            'layers': self.layers,
            'classes': list(self.segmentor.classes),
            'palette': [list(map(int, colour)) for colour in self.segmentor.palette],
        }

    def segment(self, image: np.ndarray) -> Prediction:
        """Predict an image, (H, W, 3) uint8, RGB."""
        return self.segmentor(image[..., ::-1])

    def attend(self, image: np.ndarray, point: Point, layer: str) -> list[dict[str, str]]:
        """What a layer attends to from a pixel (x, y): the pictures of `mmattn attention`.

        Raises:
            UserError: The layer is none of the model's, or weighs nothing.
        """
        if layer not in self.layers:
            raise UserError(f'the model has no layer {layer!r}; it has {", ".join(self.layers)}')
        captured, scene = watch(self.segmentor, self.segmentor.load(image[..., ::-1]))
        panels = layer_panels(captured[layer], scene, [point])[:MAX_PANELS]
        return [{'title': panel.title, 'src': data_url(panel.png(), 'png')} for panel in panels]


def shown(prediction: Prediction) -> dict[str, Any]:
    """A prediction for the browser: the class of each pixel that is shown, and shares of area."""
    rows, columns = (_spread(size, prediction.labels.shape) for size in prediction.labels.shape)
    labels = prediction.labels[rows[:, None], columns].astype('<u2')
    return {
        'labels': base64.b64encode(zlib.compress(labels.tobytes(), 6)).decode(),
        'shares': {name: float(share) for name, share in prediction.shares.items()},
    }


def shown_image(image: np.ndarray) -> dict[str, Any]:
    """An image for the browser, with its own size and the size that it is shown at."""
    height, width = image.shape[:2]
    rows, columns = (_spread(size, image.shape) for size in (height, width))
    picture = Image.fromarray(image).resize((len(columns), len(rows)), Image.Resampling.BOX)
    file = io.BytesIO()
    picture.save(file, 'JPEG', quality=90)
    return {
        'src': data_url(file.getvalue(), 'jpeg'),
        'size': [width, height],
        'shown': [len(columns), len(rows)],
    }


def agreement(first: Prediction, second: Prediction) -> float:
    """Part of the pixels to which two models give a class of the same name."""
    numbers = {name: number for number, name in enumerate(first.classes)}
    same = np.array([numbers.get(name, -1) for name in second.classes])
    return float((first.labels == same[second.labels]).mean())


def data_url(data: bytes, kind: str) -> str:
    """A picture as a URL that holds it."""
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


def _spread(size: int, shape: tuple[int, ...]) -> np.ndarray:
    """Which of ``size`` pixels of an image's side are shown."""
    count = max(1, round(size * min(1, MAX_SIDE / max(shape[:2]))))
    return np.arange(count) * size // count
