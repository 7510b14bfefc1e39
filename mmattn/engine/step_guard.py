"""An optimizer step is taken where loss and gradients are finite, and skipped where they are not.

One step with a gradient of NaN makes every weight NaN, for good.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.optim import OptimWrapper
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

_STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


class StepGuard:
    """Looks at the loss and the gradients of every step of an optimizer wrapper before it is taken.

    A skipped step changes nothing: no weight, no state of the optimizer, and no running statistics
    of a batch norm nor their number of batches, which a forward pass with NaN has changed already.
    All processes skip together. With accumulation one step is several iterations. The norm of the
    gradients is logged as ``grad_norm``; with ``clip_grad``, mmengine logs it from before the
    clipping.

    The gradient scaler of AmpOptimWrapper skips steps itself while it looks for its scale. Those
    count only where the loss is not finite either, or there is no scale left to go down to.

    Args:
        wrapper: Its ``update_params`` is replaced until `remove`.
        model: The model that it optimizes.
    """

    def __init__(self, wrapper: OptimWrapper, model: nn.Module) -> None:
        self.wrapper = wrapper
        self.skipped_in_a_row = 0
        self._finite_loss: torch.Tensor | bool = True  # of all iterations since the last step
        self._taken: bool | None = None  # None until the optimizer is asked for a step
        norms = [layer for layer in model.modules() if isinstance(layer, _NormBase)]
        statistics = [getattr(layer, name) for layer in norms for name in _STATISTICS]
        self._statistics = [x for x in statistics if x is not None]
        self._kept = [x.clone() for x in self._statistics]
        self._update_params = wrapper.update_params
        wrapper.update_params = self.update_params
        self._handle = wrapper.optimizer.register_step_pre_hook(self._before_step)

    def remove(self) -> None:
        del self.wrapper.update_params  # the class's own comes back
        self._handle.remove()

    def update_params(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """What the wrapper does with a loss, and afterwards a count of the steps it skipped."""
        self._finite_loss = loss.detach().isfinite().all() & self._finite_loss
        self._taken = None
        self._update_params(loss, *args, **kwargs)
        if not self.wrapper.should_update():
            return
        if self._taken:
            self.skipped_in_a_row = 0
            _copy(self._statistics, self._kept)
        else:
            self.skipped_in_a_row += self._taken is False or self._scaler_is_lost()
            _copy(self._kept, self._statistics)
        self._finite_loss = True

    def _before_step(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group['params']
            if parameter.grad is not None
        ]
        norm = gradient_norm(gradients)
        scale = getattr(optimizer, 'grad_scale', None)  # fused optimizers unscale in the step
        norm = norm if scale is None else norm / scale
        self._taken = everywhere(norm.isfinite() & self._finite_loss)
        if not self._taken:
            optimizer.zero_grad(set_to_none=True)  # optimizers leave out what has no gradient
        elif getattr(self.wrapper, 'grad_name', None) != 'grad_norm':
            self.wrapper.message_hub.update_scalar('train/grad_norm', float(norm))

    def _scaler_is_lost(self) -> bool:
        scaler = getattr(self.wrapper, 'loss_scaler', None)
        if scaler is None:  # a wrapper that steps in a way of its own
            return False
        return not everywhere(torch.as_tensor(self._finite_loss)) or scaler.get_scale() <= 1


def gradient_norm(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """The 2-norm of all gradients as one vector, a scalar; not finite where any of them is not.

    Of gradients of which a process has a part, that of the whole: all processes take part.
    """
    if not gradients:
        return torch.zeros(())
    norms = torch._foreach_norm(list(gradients))
    device = norms[0].device
    norm = torch.linalg.vector_norm(torch.stack([norm.float().to(device) for norm in norms]))
    return norm.full_tensor() if hasattr(norm, 'full_tensor') else norm  # a DTensor


def everywhere(flag: torch.Tensor) -> bool:
    """Whether a flag is true in every process."""
    if get_world_size() > 1:
        flag = flag.float()
        all_reduce(flag, 'min')
    return bool(flag)


def anywhere(flag: torch.Tensor) -> bool:
    """Whether a flag is true in any process."""
    return not everywhere(~flag)


def _copy(source: list[torch.Tensor], target: list[torch.Tensor]) -> None:
    if target:
        torch._foreach_copy_(target, source)
