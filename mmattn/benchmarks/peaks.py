"""What rates are held against: that of large products of matrices."""

import torch

from mmattn.benchmarks import Options
from mmattn.benchmarks.passes import dtypes
from mmattn.benchmarks.timing import seconds

PRODUCT = 4096  # rows and columns of the matrices


def measure_peaks(options: Options) -> dict:
    """GFLOP/s of a large square matrix product, by type."""
    n, peaks = PRODUCT, {}
    for name, dtype in dtypes(options.device).items():
        x = torch.randn(n, n).to(options.device, dtype)
        best = min(seconds(lambda x=x: x @ x, options.device) for _ in range(options.rounds))
        peaks[name] = 2e-9 * n**3 / best
    return {'peak GFLOP/s': peaks}


def told_peaks(results: dict) -> str:
    """What the GFLOP/s of a table are to be held against."""
    peaks = ', '.join(f'{name} {value:.0f}' for name, value in results['peak GFLOP/s'].items())
    return f'Matrix products of {PRODUCT} x {PRODUCT} reach, in GFLOP/s: {peaks}.'
