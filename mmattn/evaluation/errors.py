"""Where the errors of a prediction lie: in small or large objects, near boundaries or far away."""

import cv2
import numpy as np

# Ends of the bins: shares of the image; pixels from the nearest pixel of another label.
SIZES = (0.001, 0.01, 0.1)
DISTANCES = (1, 2, 4, 8, 16, 32)
SIZE_NAMES = ('under 0.1 %', '0.1 to 1 %', '1 to 10 %', 'over 10 %')
DISTANCE_NAMES = ('1', '2', '3 to 4', '5 to 8', '9 to 16', '17 to 32', 'over 32')


def errors_by_size(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """What was found of the objects of an image, by class and by their share of the image.

    An object is a connected region of a class in the ground truth (pixels touch at corners, too):
    cars that touch are one. It is found if half of its pixels are right.

    Args:
        label: (H, W) integers; what is no class does not count.
        prediction: (H, W) integers.
        num_classes: number of classes.

    Returns:
        (num_classes, sizes, 4) integers: objects, objects found, their pixels, right pixels. The
        sizes are those of ``SIZE_NAMES``.
    """
    counts = np.zeros((num_classes, len(SIZE_NAMES), 4), np.int64)
    for index in _classes(label, num_classes):
        number, regions = cv2.connectedComponents((label == index).astype(np.uint8), connectivity=8)
        areas, right = (
            np.bincount(ids.ravel(), minlength=number)[1:]
            for ids in (regions, regions[prediction == index])
        )
        sizes = np.searchsorted(SIZES, areas / label.size, side='right')
        values = np.stack([np.ones_like(areas), 2 * right >= areas, areas, right], axis=1)
        np.add.at(counts[index], sizes, values)
    return counts


def errors_by_distance(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels and wrong pixels of an image by their distance from the nearest other label.

    The distance is Chebyshev's, in pixels: 1 for a pixel that touches another class or void. The
    edge of the image is no boundary.

    Args:
        label: (H, W) integers; what is no class does not count.
        prediction: (H, W) integers.
        num_classes: number of classes.

    Returns:
        (distances, 2) integers: pixels, wrong pixels. The distances are those of
        ``DISTANCE_NAMES``.
    """
    counts = np.zeros((len(DISTANCE_NAMES), 2), np.int64)
    for index in _classes(label, num_classes):
        mask = label == index
        # Next to nothing but itself, a class is far from all boundaries.
        distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_C, 3)[mask]
        bins = np.searchsorted(DISTANCES, distance)
        for column, chosen in enumerate((bins, bins[prediction[mask] != index])):
            counts[:, column] += np.bincount(chosen, minlength=len(counts))
    return counts


def _classes(label: np.ndarray, num_classes: int) -> list[int]:
    return [index for index in np.unique(label).tolist() if 0 <= index < num_classes]
