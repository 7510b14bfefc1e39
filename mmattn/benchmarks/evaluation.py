"""Counting pixels for IoU: the metric of mmattn against mmseg's."""

from collections.abc import Iterator
from functools import partial

import torch
from mmseg.evaluation import IoUMetric
from torch import Tensor

from mmattn.benchmarks import Case, Options, Size, words
from mmattn.evaluation import SegmentationMetric

TITLE = 'Counting pixels for IoU'
TEXT = """\
`SegmentationMetric` against mmseg's `IoUMetric`, whose areas it equals: `intersect_and_union` of
one prediction and one label map, int64. Two sides do more than the reference: one also counts
the confusion matrix, the other boundary IoU with a ratio of 0.02."""
SIDE, REFERENCE = 'metric', 'mmseg'
SIZES = ((1024, 2048), (512, 512))
CLASSES = (150, 19)
IGNORED = 255


def make_maps(size: Size, num_classes: int, device: str) -> tuple[Tensor, Tensor]:
    """Prediction and label, int64: squares of 16 x 16; a third of the predictions is random, a
    twentieth of the labels ignored."""
    generator = torch.Generator().manual_seed(0)
    height, width = size

    def classes(*shape: int) -> Tensor:
        return torch.randint(num_classes, shape, generator=generator)

    squares = classes(height // 16 + 1, width // 16 + 1)
    label = squares.repeat_interleave(16, 0).repeat_interleave(16, 1)[:height, :width]
    prediction = label.where(torch.rand(size, generator=generator) > 1 / 3, classes(*size))
    label = label.where(torch.rand(size, generator=generator) > 1 / 20, IGNORED)
    return prediction.to(device), label.contiguous().to(device)


def cases(options: Options) -> Iterator[Case]:
    """A case for each size and number of classes."""
    sides = {
        REFERENCE: IoUMetric(),
        'mmattn': SegmentationMetric(),
        'mmattn, with confusion': SegmentationMetric(confusion=True),
        'mmattn, with boundary': SegmentationMetric(boundary_ratio=0.02),
    }
    for size in options.sizes:
        for num_classes in CLASSES:
            maps = make_maps(size, num_classes, options.device)
            jobs = {
                side: partial(metric.intersect_and_union, *maps, num_classes, IGNORED)
                for side, metric in sides.items()
            }
            for ours, theirs in zip(jobs['mmattn'](), jobs[REFERENCE](), strict=True):
                assert torch.equal(ours.double(), theirs.double())
            yield Case({'labels': words(size), 'classes': str(num_classes)}, jobs)
