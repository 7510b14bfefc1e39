"""What autocast makes of tensors, on devices that have none too, such as 'meta'."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(device_type: str) -> AbstractContextManager:
    """Switches autocast off."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def dtype_of_products(x: Tensor) -> torch.dtype:
    """The type in which matrix products take x: that of autocast where it is on, but for float64,
    which it leaves alone."""
    kind = x.device.type
    available = torch.amp.is_autocast_available(kind)
    if x.dtype == torch.float64 or not available or not torch.is_autocast_enabled(kind):
        return x.dtype
    return torch.get_autocast_dtype(kind)
