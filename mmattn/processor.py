"""What torch's kernels find in this machine's processor."""

import torch


def cpu_has_bfloat16() -> bool:
    """Whether torch's convolutions and products in bfloat16 have fast kernels on this CPU."""
    if not torch.backends.mkldnn.is_available():  # not built with oneDNN: it has not the operator
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
