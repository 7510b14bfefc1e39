"""The cross entropy of a head, from its logits: in bands of the label against mmseg's."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor

from mmattn.benchmarks import Case, Options, Size, words
from mmattn.models import GCNetHead

TITLE = 'Cross entropy of resized logits'
TEXT = """\
From float32 logits of an eighth of the label's size to the loss, `acc_seg` and the gradient of the
logits: `loss_by_feat` of mmseg, which resizes the logits first, and of our heads, which compute the
loss in bands of the label, and a backward pass. Two images a batch. On GPUs, and for less than 2^18
resized numbers, our heads do as mmseg, and both sides are the same."""
SIDE, REFERENCE = 'loss', 'mmseg'
SIZES = ((180, 240), (512, 512), (512, 1024))
CLASSES = (19, 150)
IMAGES = 2
TOLERANCE = 1e-5  # of the loss, and of the largest gradient


def make_jobs(size: Size, num_classes: int, device: str) -> dict[str, Callable[[], list[Tensor]]]:
    """Of each side what computes loss and gradient of the logits."""
    generator = torch.Generator().manual_seed(0)
    head = GCNetHead(in_channels=8, channels=8, num_classes=num_classes).to(device)
    map_size = [-(-length // 8) for length in size]
    logits = 3 * torch.randn(IMAGES, num_classes, *map_size, generator=generator)
    logits = logits.to(device).requires_grad_()
    labels = torch.randint(num_classes, (IMAGES, 1, *size), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 1 / 20] = head.ignore_index
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels.to(device)]

    def step(loss_by_feat: Callable) -> list[Tensor]:
        loss = loss_by_feat(head, logits, samples)['loss_ce']
        return [loss.detach(), torch.autograd.grad(loss, logits)[0]]

    sides = {REFERENCE: BaseDecodeHead.loss_by_feat, 'mmattn': GCNetHead.loss_by_feat}
    return {side: partial(step, loss_by_feat) for side, loss_by_feat in sides.items()}


def cases(options: Options) -> Iterator[Case]:
    """A case for each size of labels and number of classes."""
    for size in options.sizes:
        for num_classes in CLASSES:
            jobs = make_jobs(size, num_classes, options.device)
            for ours, theirs in zip(jobs['mmattn'](), jobs[REFERENCE](), strict=True):
                assert (ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max()
            yield Case({'label': words(size), 'classes': str(num_classes)}, jobs)
