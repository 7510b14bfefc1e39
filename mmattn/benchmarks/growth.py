"""How a cost grows with the map: exponents, and when a map is too large to be tried."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch


def exponent(values: Mapping[float, float]) -> float:
    """The e of ``value = c * n**e``, by least squares of the logarithms.

    Args:
        values: By n, of two n at least. A value of less than 0.001 counts as that.
    """
    x = [math.log(n) for n in values]
    y = [math.log(max(value, 1e-3)) for value in values.values()]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def available_memory(device: str) -> int:
    """Bytes that could be allocated now."""
    if device == 'cuda':
        cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return torch.cuda.mem_get_info()[0] + cached
    file = Path('/proc/meminfo')
    if not file.is_file():  # no Linux: what there is at all
        return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    facts = dict(line.split(':') for line in file.read_text().splitlines())
    return int(facts['MemAvailable'].split()[0]) * 1024
