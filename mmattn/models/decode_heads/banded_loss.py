"""The loss of a head without maps of logits as large as the label."""

from collections.abc import Callable

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.utils import resize
from mmseg.utils import SampleList
from torch import Tensor
from torch.nn import functional as F

from mmattn.ops.cross_entropy import upsampled_cross_entropy

_WORTH = 2**18  # numbers in the resized logits; for fewer, mmseg's few large steps are faster
_EPS = torch.finfo(torch.float32).eps


class BandedLoss:
    """Stands before a head of mmseg: computes its plain cross entropy in bands of the label.

    Values, gradients and names are those of mmseg's ``loss_by_feat``, which keeps all else: other
    losses, a sampler, small or shrunk maps, compiled models, and devices on which this was not
    measured. With class weights the loss is that of PyTorch in all these cases, too: the mean over
    the counted pixels.
    """

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Logits (B, C, h, w) -> the loss, and ``acc_seg`` (per cent of the counted pixels)."""
        height, width = batch_data_samples[0].gt_sem_seg.shape
        banded = _is_worth(seg_logits, height, width)
        # With class weights, versions of mmseg fail at ignored pixels, or with avg_non_ignore.
        if not _is_plain(self) or not (banded or self.loss_decode.class_weight is not None):
            return super().loss_by_feat(seg_logits, batch_data_samples)
        label = self._stack_batch_gt(batch_data_samples)[:, 0]
        return _loss(self, seg_logits, label, upsampled_cross_entropy if banded else _at_once)


def _is_plain(head: BaseDecodeHead) -> bool:
    """Whether the loss is mmseg's cross entropy of a softmax, of all pixels and averaged."""
    loss = head.loss_decode
    return (
        type(loss) is CrossEntropyLoss
        and not (loss.use_sigmoid or loss.use_mask)
        and loss.reduction == 'mean'
        and head.sampler is None
    )


def _is_worth(logits: Tensor, height: int, width: int) -> bool:
    batch, channels, rows, columns = logits.shape
    return (
        logits.device.type == 'cpu'
        and batch * channels * height * width >= _WORTH
        and height > rows
        and width > columns
        and not torch.compiler.is_compiling()
    )


def _at_once(
    logits: Tensor, label: Tensor, *, align_corners: bool, weight: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """What `upsampled_cross_entropy` gives, by the whole map of resized logits."""
    size = label.shape[1:]
    wide = resize(logits, size, mode='bilinear', align_corners=align_corners, warning=False).float()
    total = F.cross_entropy(wide, label, weight, ignore_index=ignore_index, reduction='sum')
    return total, ((wide.argmax(1) == label) & (label != ignore_index)).sum()


def _loss(
    head: BaseDecodeHead,
    logits: Tensor,
    label: Tensor,
    cross_entropy: Callable[..., tuple[Tensor, Tensor]],
) -> dict[str, Tensor]:
    loss = head.loss_decode
    weight = loss.class_weight
    if weight is not None:
        weight = torch.as_tensor(weight, dtype=torch.float32, device=logits.device)
    total, correct = cross_entropy(
        logits,
        label,
        align_corners=head.align_corners,
        weight=weight,
        ignore_index=head.ignore_index,
    )
    counted = label != head.ignore_index
    if weight is not None:
        divisor = weight[label.where(counted, 0)].mul(counted).sum()
    else:
        divisor = counted.sum() if loss.avg_non_ignore else label.numel()
    accuracy = (correct + _EPS) * 100 / (counted.sum() + _EPS)
    return {
        loss.loss_name: loss.loss_weight * total / (divisor + _EPS),
        'acc_seg': accuracy[None],
    }
