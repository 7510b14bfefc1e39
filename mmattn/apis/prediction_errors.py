"""What is wrong in a folder of predictions, counted."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmattn.apis.overlap import in_threads
from mmattn.datasets.progress import track
from mmattn.engine.saved_predictions import TestedImages
from mmattn.errors import UserError
from mmattn.evaluation.boundary import boundary_areas
from mmattn.evaluation.errors import errors_by_distance, errors_by_size
from mmattn.evaluation.histogram import areas, joint_histogram
from mmattn.evaluation.report import tables_of_scores
from mmattn.evaluation.scores import class_scores, overall_scores

BOUNDARY_RATIO = 0.02  # of boundary IoU, in diagonals of the image; the paper's


@dataclass(frozen=True)
class PredictionErrors:
    """What was counted of the predictions in a folder.

    Attributes:
        images: The test data.
        folder: Of the predictions.
        areas: (images, 6, classes) pixels, as `class_scores` takes them.
        confusion: (classes, classes) pixels; labels are rows, predictions columns.
        sizes: As of `errors_by_size`.
        distances: As of `errors_by_distance`.
    """

    images: TestedImages
    folder: Path
    areas: np.ndarray
    confusion: np.ndarray
    sizes: np.ndarray
    distances: np.ndarray

    @cached_property
    def report(self) -> dict[str, Any]:
        """All scores in percent, as `SegmentationMetric` reports them."""
        of_classes = class_scores(self.areas.sum(0))
        overall = overall_scores(self.areas.sum(0), of_classes)
        return {
            'images': len(self.areas),
            'unit': 'percent',
            'boundary_ratio': BOUNDARY_RATIO,
            **tables_of_scores(overall, of_classes, self.images.classes),
        }

    @property
    def wrong_by_distance(self) -> list[float | None]:
        """Percent of the pixels in each of ``DISTANCE_NAMES``; None where there are none."""
        return [100 * wrong / pixels if pixels else None for pixels, wrong in self.distances]


def count_errors(images: TestedImages, folder: Path) -> PredictionErrors:
    """Hold the predictions in a folder against the labels of their images.

    Raises:
        UserError: A prediction is missing, has another size than its labels, or is no class.
    """
    count, void = len(images.classes), images.ignore_index
    per_image = []
    confusion = torch.zeros(count, count, dtype=torch.int64)
    sizes: Any = 0
    distances: Any = 0
    maps = in_threads(partial(load_maps, images, folder), images.paths)
    for path, (label, prediction) in zip(
        images.paths, track(maps, len(images.paths), f'analyzing {folder}'), strict=True
    ):
        tensors = torch.from_numpy(prediction), torch.from_numpy(label)
        try:
            histogram = joint_histogram(*tensors, count, void)
        except UserError as error:
            raise UserError(f'{path} and its prediction in {folder}: {error}') from error
        counted = areas(histogram) + boundary_areas(*tensors, count, void, BOUNDARY_RATIO)
        per_image.append(torch.stack(counted))
        confusion += histogram
        sizes = sizes + errors_by_size(label, prediction, count)
        distances = distances + errors_by_distance(label, prediction, count)
    return PredictionErrors(
        images, folder, torch.stack(per_image).numpy(), confusion.numpy(), sizes, distances
    )


def load_maps(images: TestedImages, folder: Path, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and prediction of an image.

    Raises:
        UserError: The prediction is missing, or no image of labels.
    """
    try:
        return images.labels(path), images.prediction(path, folder)
    except OSError as error:
        raise UserError(
            f'the prediction of {path} cannot be read: {error}. `mmattn test --out {folder}` '
            'writes one for each test image of its config'
        ) from error
