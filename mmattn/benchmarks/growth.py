"""How a cost grows with the map: exponents, and when a map is too large to be tried."""

import math
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
        return torch.cuda.mem_get_info()[0]
    lines = Path('/proc/meminfo').read_text().splitlines()
    facts = dict(line.split(':') for line in lines)
    return int(facts['MemAvailable'].split()[0]) * 1024
