"""Boundary IoU (Cheng et al., 2021, https://arxiv.org/abs/2103.16562) of label maps.

The paper defines it for two masks: the IoU of the pixels of each that lie within d pixels of its
own contour. d is ``ratio`` times the diagonal of the image, rounded, at least 1; the default of the
authors' code is 0.02. As there, distance is Chebyshev's (d erosions by 3 x 3), and the edge of the
image is a contour.

For semantic segmentation intersections and unions are summed over the images, as for IoU. Ignored
pixels belong to no class in either map, so that the edge of an ignored region is a contour of both,
and labels scored against themselves have 100 %. (The authors' panoptic code leaves the predicted
contours in ignored regions, where it then drops them.)
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def boundary_areas(
    prediction: Tensor, label: Tensor, num_classes: int, ignore_index: int, ratio: float
) -> tuple[Tensor, Tensor]:
    """Intersection and union of the boundaries of each class.

    Args:
        prediction: Classes, integers of shape (H, W).
        label: Classes and ``ignore_index``, of the same shape.
        ratio: Width of the boundary, in diagonals of the image.

    Returns:
        Pixels, int64 of shape (num_classes,) each.
    """
    ignored = label == ignore_index
    no_class = num_classes
    # 16 bits, for speed: the time goes into moving these maps.
    prediction, label = (x.short().masked_fill(ignored, no_class) for x in (prediction, label))
    width = boundary_width(*label.shape, ratio)
    prediction, label = (x.masked_fill(~boundary(x, width), no_class) for x in (prediction, label))
    both = label.masked_fill(prediction != label, no_class)
    intersection, predicted, labelled = (
        torch.bincount(x.flatten(), minlength=num_classes + 1)[:num_classes].clone()
        for x in (both, prediction, label)
    )
    return intersection, predicted + labelled - intersection


def boundary_width(height: int, width: int, ratio: float) -> int:
    """d in pixels."""
    return max(1, round(ratio * math.hypot(height, width)))


def boundary(classes: Tensor, width: int) -> Tensor:
    """Pixels within ``width`` pixels of another class or of the outside of the image.

    A pixel is so exactly if, within ``width - 1`` of it, there is a pixel with a neighbour (of
    eight) of another class or outside. One dilation of these edges serves all classes at once.

    Args:
        classes: Integers of shape (H, W), none of them -1.

    Returns:
        bool of the same shape.
    """
    lowest = highest = F.pad(classes, (1, 1, 1, 1), value=-1)
    for dim in range(2):
        first, second, third = (lowest.narrow(dim, i, classes.shape[dim]) for i in range(3))
        lowest = torch.minimum(torch.minimum(first, second), third)
        first, second, third = (highest.narrow(dim, i, classes.shape[dim]) for i in range(3))
        highest = torch.maximum(torch.maximum(first, second), third)
    edges = lowest != highest
    return _dilate(_dilate(edges, 0, width - 1), 1, width - 1)


def _dilate(mask: Tensor, dim: int, radius: int) -> Tensor:
    """Maximum over windows of ``2 * radius + 1`` along ``dim``, in log2(radius) steps."""
    sides = (radius, radius)
    reached = F.pad(mask, sides if dim == 1 else (0, 0, *sides))
    window = 1  # reached[i] is the maximum of mask over this many pixels from i on
    while window <= 2 * radius:
        step = min(window, 2 * radius + 1 - window)
        size = reached.shape[dim] - step
        reached = reached.narrow(dim, 0, size) | reached.narrow(dim, step, size)
        window += step
    return reached
