"""Cross entropy of logits that are resized to the label, without keeping the resized maps."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

_CACHE_BYTES = 2**21  # of a band, for each thread; half and twice as much took as long


def upsampled_cross_entropy(
    logits: Tensor,
    label: Tensor,
    *,
    align_corners: bool,
    weight: Tensor | None = None,
    ignore_index: int = 255,
) -> tuple[Tensor, Tensor]:
    """Sum of the cross entropy of bilinearly resized logits, and the number of correct pixels.

    The sum is ``F.cross_entropy(resized, label, weight, ignore_index=ignore_index,
    reduction='sum')`` with ``resized = F.interpolate(logits, (H, W), mode='bilinear', ...)``.
    There the resized logits, their log-probabilities and the gradients of both are maps of
    N * C * H * W numbers. Here the logits are resized in bands of rows, and the gradient of a band
    is brought back to the small logits at once. The backward pass needs that gradient alone, which
    is as large as ``logits``. All is computed in float32 at least, under autocast, too.

    Args:
        logits: Shape (N, C, h, w).
        label: Class of each pixel, int64, shape (N, H, W).
        align_corners: As of ``F.interpolate``.
        weight: Weight of each class, shape (C,).
        ignore_index: Label of the pixels that do not count.

    Returns:
        The sum, of shape (), differentiable once and with respect to ``logits`` alone; and of how
        many counted pixels the label's logit is above all others, int64, of shape ().

    Raises:
        ValueError: The shapes do not fit together, or a tensor is empty.
        IndexError: A label is neither a class nor ``ignore_index``.
    """
    _check_inputs(logits, label, weight, ignore_index)
    with_grad = logits.requires_grad and torch.is_grad_enabled()
    return _Banded.apply(logits, label, align_corners, weight, ignore_index, with_grad)


class _Banded(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        logits: Tensor,
        label: Tensor,
        align_corners: bool,
        weight: Tensor | None,
        ignore_index: int,
        with_grad: bool,
    ) -> tuple[Tensor, Tensor]:
        dtype = torch.promote_types(logits.dtype, torch.float32)
        weight = None if weight is None else weight.to(logits.device, dtype)
        results, grads = [], []
        images = _fitting(logits[0, :, 0, 0].numel() * label[0].numel(), logits.device)
        for part, part_label in zip(logits.split(images), label.split(images), strict=True):
            with torch.enable_grad():
                small = part.detach().to(dtype, memory_format=torch.contiguous_format)
                small.requires_grad_()
                size = small.shape[2], label.shape[2]
                wide = F.interpolate(small, size, mode='bilinear', align_corners=align_corners)
            grad_wide = torch.zeros_like(wide) if with_grad else None
            results += _bands(
                wide.detach(), part_label, align_corners, weight, ignore_index, grad_wide
            )
            if with_grad:
                grads += torch.autograd.grad(wide, small, grad_wide)
        ctx.save_for_backward(torch.cat(grads) if with_grad else None)
        total, correct = (torch.stack(terms).sum() for terms in zip(*results, strict=True))
        ctx.mark_non_differentiable(correct)
        return total, correct

    @staticmethod
    def backward(ctx: FunctionCtx, grad_total: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                'upsampled_cross_entropy is differentiable once, but create_graph=True asks for '
                'more: use F.cross_entropy of F.interpolate, which keep the resized maps'
            )
        (grad,) = ctx.saved_tensors
        return grad * grad_total, None, None, None, None, None


def _bands(
    logits: Tensor,
    label: Tensor,
    align_corners: bool,
    weight: Tensor | None,
    ignore_index: int,
    grad: Tensor | None,
) -> list[tuple[Tensor, Tensor]]:
    """The two results band by band for logits (n, C, h, W) and label (n, H, W).

    The gradient with respect to the logits is added to ``grad``.
    """
    above, below, share = _rows(logits, label.shape[1], align_corners)
    step = _fitting(logits[:, :, 0].numel(), logits.device)
    results = []
    for start in range(0, len(share), step):
        band = slice(start, start + step)
        resized = logits.index_select(2, above[band])
        resized.lerp_(logits.index_select(2, below[band]), share[band])
        results.append(
            _terms(resized, label[:, None, band], weight, ignore_index, grad is not None)
        )
        if grad is not None:
            lower = resized * share[band]
            grad.index_add_(2, below[band], lower)
            grad.index_add_(2, above[band], resized.sub_(lower))
    return results


def _terms(
    logits: Tensor, label: Tensor, weight: Tensor | None, ignore_index: int, with_grad: bool
) -> tuple[Tensor, Tensor]:
    """The two results for logits (n, C, b, W) and label (n, 1, b, W).

    The gradient takes the place of the logits.
    """
    ignored = label == ignore_index
    label = label.masked_fill(ignored, 0)
    factor = logits.new_ones(label.shape) if weight is None else weight[label]
    factor.masked_fill_(ignored, 0)
    own = logits.gather(1, label)
    others = logits.scatter_(1, label, float('-inf')).amax(1, keepdim=True)
    highest = torch.maximum(own, others)
    exponentials = logits.scatter_(1, label, own).sub_(highest).exp_()
    total = exponentials.sum(1, keepdim=True)
    above = own - highest
    loss = (total.log() - above).mul_(factor).masked_fill_(ignored, 0).sum()
    if with_grad:
        probability = above.exp() / total
        exponentials.mul_(factor / total).scatter_(1, label, (probability - 1) * factor)
    return loss, ((own > others) & ~ignored).sum()


def _rows(logits: Tensor, height: int, align_corners: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Of each resized row the rows above and below it, and the share (1) of the one below.

    As ``F.interpolate`` places them: pixels are areas, or with ``align_corners`` points.
    """
    size = logits.shape[2]
    position = torch.arange(height, dtype=logits.dtype, device=logits.device)
    scale = logits.new_tensor(size - align_corners) / max(height - align_corners, 1)
    if align_corners:
        position *= scale
    else:
        position = ((position + 0.5) * scale - 0.5).clamp(min=0)
    above = position.long().clamp(max=size - 1)
    below = (above + 1).clamp(max=size - 1)
    return above, below, (position - above).clamp(0, 1)[:, None]


def _fitting(numbers: int, device: torch.device) -> int:
    """How many parts of so many numbers make a band: on CPUs its threads keep it in their caches,
    elsewhere large bands make few calls of kernels."""
    threads = torch.get_num_threads() if device.type == 'cpu' else 64
    return max(1, threads * _CACHE_BYTES // (4 * numbers))


def _check_inputs(logits: Tensor, label: Tensor, weight: Tensor | None, ignore_index: int) -> None:
    shapes = f'logits {tuple(logits.shape)} and label {tuple(label.shape)}'
    if logits.dim() != 4 or label.dim() != 3 or len(logits) != len(label):
        raise ValueError(f'logits must be (N, C, h, w) and label (N, H, W), got {shapes}')
    if logits.numel() == 0 or label.numel() == 0:
        raise ValueError(f'logits and label must not be empty, got {shapes}')
    if weight is not None and weight.shape != logits.shape[1:2]:
        raise ValueError(
            f'weight must hold one number a class, ({logits.shape[1]},), got {tuple(weight.shape)}'
        )
    outside = ((label < 0) | (label >= logits.shape[1])) & (label != ignore_index)
    if type(label) is Tensor and outside.any():  # fake tensors have no values to look at
        # The words of F.cross_entropy.
        raise IndexError(f'Target {label[outside][0].item()} is out of bounds.')
