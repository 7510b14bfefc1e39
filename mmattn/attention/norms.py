"""Normalisation layers by their configs, and what batch norms do where they see few values."""

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

BATCH_NORMS = ('BN', 'BN2d', 'SyncBN')

# Of fewer values, drawn from a normal distribution, 1 / variance has no finite mean: it is the
# square of the factor on gradients.
_MIN_VALUES = 4


def _group_norm(channels: int, num_groups: int, **kwargs) -> nn.GroupNorm:
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f'norm_cfg: num_groups must divide the channels of every layer; one has {channels} '
            f'channels, got num_groups={num_groups} (1 divides all)'
        )
    return nn.GroupNorm(num_groups, channels, **kwargs)


_NORMS = {
    'BN': ('bn', nn.BatchNorm2d),
    'BN2d': ('bn', nn.BatchNorm2d),
    'SyncBN': ('bn', nn.SyncBatchNorm),
    'GN': ('gn', _group_norm),
    'IN': ('in', nn.InstanceNorm2d),
    'IN2d': ('in', nn.InstanceNorm2d),
}


def build_norm(norm_cfg: dict | None, channels: int) -> tuple[str, nn.Module]:
    """Name (mmcv's: 'bn', 'gn', 'in') and layer; of None one that does nothing.

    Raises:
        ValueError: An unknown type, or groups that do not divide the channels.
    """
    if norm_cfg is None:
        return 'norm', nn.Identity()
    options = dict(norm_cfg)
    trainable = options.pop('requires_grad', True)
    kind = options.pop('type', None)
    if kind not in _NORMS:
        raise ValueError(f'norm_cfg: unknown type {kind!r}, known are {", ".join(sorted(_NORMS))}')
    name, factory = _NORMS[kind]
    layer = factory(channels, **options)
    layer.requires_grad_(trainable)
    return name, layer


class NormSequential(nn.Sequential):
    """A sequence whose batch norms train on any number of values.

    Of two values a channel (two images, pooled to one pixel each) a batch norm makes +1 and -1 and
    multiplies gradients by up to ``1 / sqrt(eps)``, which sixteen blocks of a ResNet take to
    infinity; one value it refuses. So with fewer than four values a channel, in training,
    the norm first updates its running statistics (the variance by the squared deviations from the
    running mean, which one value has too), then normalises by them, as in evaluation. With four or
    more, and in evaluation, it is the batch norm itself.

    Values are counted over all processes for SyncBatchNorm, whose statistics are then those of all
    processes; the processes must have batches of one size.

    It stands around the norms and is not a norm itself, since functions that exchange norms
    (``convert_sync_batchnorm``, ``revert_sync_batchnorm``) would drop it.

    Raises:
        ValueError: As of `run_layer`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As of nn.Sequential."""
        for layer in self:
            x = run_layer(layer, x)
        return x


def run_layer(layer: nn.Module, x: Tensor) -> Tensor:
    """``layer(x)``, but a batch norm that sees few values as in `NormSequential`.

    Raises:
        ValueError: In training, a batch norm without running statistics that sees fewer than four
            values a channel, or a group norm whose groups have one value each. An instance norm of
            a map of one pixel, in evaluation too unless it has running statistics.
    """
    if isinstance(layer, nn.GroupNorm):
        _require_groups_of_two(layer, x)
    if isinstance(layer, nn.InstanceNorm2d):
        _require_two_pixels(layer, x)
    few = isinstance(layer, _BatchNorm) and layer.training and _sees_few(layer, x)
    return _normalise_few(layer, x) if few else layer(x)


def _require_groups_of_two(norm: nn.GroupNorm, x: Tensor) -> None:
    if norm.training and x.shape[1:].numel() <= norm.num_groups:
        raise ValueError(
            f'GN with num_groups={norm.num_groups} makes 0 of every value of a map of shape '
            f'{tuple(x.shape)}, since each group has one. Give the mechanism a norm_cfg of its own '
            'with fewer groups, or a batch norm'
        )


def _require_two_pixels(norm: nn.InstanceNorm2d, x: Tensor) -> None:
    by_the_map = norm.training or not norm.track_running_stats
    if by_the_map and x.shape[2:].numel() == 1:
        raise ValueError(
            f'IN makes 0 of every value of a map of shape {tuple(x.shape)}, since each channel has '
            'one. Give the mechanism a norm_cfg of its own with a GN of few groups, or a batch norm'
        )


def _sees_few(norm: _BatchNorm, x: Tensor) -> bool:
    return x.shape[0] * x.shape[2:].numel() * _processes(norm) < _MIN_VALUES


def _normalise_few(norm: _BatchNorm, x: Tensor) -> Tensor:
    if norm.running_mean is None:
        raise ValueError(
            f'batch norm needs {_MIN_VALUES} values a channel in training, or running statistics; '
            f'got a batch of shape {tuple(x.shape)} and norm_cfg with track_running_stats=False. '
            'Remedies: leave track_running_stats at True, more images, or a GN'
        )
    if not _recomputes():
        _update(norm, x.detach())
    # Copies, since a later batch updates them before the backward pass of this one may have run.
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()
    return F.batch_norm(x, mean, variance, norm.weight, norm.bias, eps=norm.eps)


@torch.no_grad()
def _update(norm: _BatchNorm, x: Tensor) -> None:
    mean = norm.running_mean
    values = x.transpose(0, 1).flatten(1).to(mean.dtype)
    moments = torch.stack([values.mean(1), (values - mean.unsqueeze(1)).square().mean(1)])
    if _processes(norm) > 1:
        distributed.all_reduce(moments, group=norm.process_group)
        moments = moments / _processes(norm)
    norm.num_batches_tracked.add_(1)
    if norm.momentum is None:
        rate = norm.num_batches_tracked.to(mean.dtype).reciprocal()
    else:
        rate = norm.momentum
    mean.lerp_(moments[0], rate)
    norm.running_var.lerp_(moments[1], rate)


def _processes(norm: _BatchNorm) -> int:
    """How many share their statistics."""
    if not isinstance(norm, nn.SyncBatchNorm):
        return 1
    if not distributed.is_available() or not distributed.is_initialized():
        return 1
    return distributed.get_world_size(norm.process_group)


def _recomputes() -> bool:
    """Whether activation checkpointing runs this forward pass again, within the backward pass."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1
