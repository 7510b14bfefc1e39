"""Where the time of whole models goes: convolutions, products of matrices, all else."""

import re
import time
from collections.abc import Callable
from statistics import geometric_mean

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

from mmattn.benchmarks.memory import quiet_profile
from mmattn.benchmarks.peaks import told_peaks
from mmattn.benchmarks.tables import markdown
from mmattn.cost import count_macs

_CONVOLUTIONS = 'convolutions'
_KINDS = {  # patterns of operators' names; bilinear upsampling is no product
    _CONVOLUTIONS: r'::\w*conv\w*$',
    'matrix products': r'::(\w*mm_?|_addmm_activation|(mkldnn)?_?linear\w*|\w*scaled_dot_product\w*'
    r'|\w+_attention_(forward|backward))$|^mmattn::',
}
_RATE = 'GFLOP/s of convolutions'
_CALLS = 3


def time_shares(job: Callable[[], object], device: str) -> dict[str, float]:
    """What convolutions and products of matrices, attention's among them, take of a job's time.

    Returns:
        The share of each kind, 0 to 1, and the GFLOP/s that the convolutions reach: by torch's
        profiler over some calls.
    """
    on_gpu = device == 'cuda'
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with quiet_profile(activities) as profiler:
        start = time.perf_counter()
        for _ in range(_CALLS):
            job()
        if on_gpu:
            torch.cuda.synchronize()
        spent = time.perf_counter() - start
    seconds = dict.fromkeys(_KINDS, 0.0)
    for event in profiler.key_averages():
        if event.device_type == DeviceType.CPU:  # what a GPU does counts where it is called
            own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            for kind, pattern in _KINDS.items():
                seconds[kind] += bool(re.search(pattern, event.key)) * own / 1e6
    flops = 2 * _CALLS * count_macs(job, 'conv')
    shares = {kind: value / spent for kind, value in seconds.items()}
    return {**shares, _RATE: flops / seconds[_CONVOLUTIONS] / 1e9}


def share_paragraphs(results: dict) -> list[str]:
    """What a page says of the shares: their table, and what more than convolutions could bring."""
    rows = share_table(results)
    if not rows:
        return []
    how = f"Where the time goes, by torch's profiler over {_CALLS} calls. {told_peaks(results)}"
    return [how, markdown(rows), *_limits(results)]


def share_table(results: dict) -> list[list[str]]:
    """The heading and a row for every side of every case; [] where no shares were measured."""
    rows = [
        {**case['labels'], 'side': side, **_cells(shares)}
        for case in results['cases']
        for side, shares in case.get('shares', {}).items()
    ]
    return [list(rows[0]), *(list(row.values()) for row in rows)] if rows else []


def _cells(shares: dict[str, float]) -> dict[str, str]:
    known = {kind: shares[kind] for kind in _KINDS}
    cells = {kind: f'{share:.0%}' for kind, share in known.items()}
    return {**cells, 'all else': f'{1 - sum(known.values()):.0%}', _RATE: f'{shares[_RATE]:.0f}'}


def _limits(results: dict) -> list[str]:
    """A paragraph: how fast each side would be if it did nothing but its convolutions."""
    limits: dict[str, list[float]] = {}
    for case in results['cases']:
        for side, (_, median, _) in case.get('speed-up', {}).items():
            if side in case['shares']:
                limits.setdefault(side, []).append(median / case['shares'][side][_CONVOLUTIONS])
    reference = results['reference']
    told = [f'`{side}` {geometric_mean(values):.2f}' for side, values in limits.items()]
    text = (
        'Were all but its convolutions free, each side would be so many times as fast as '
        f'`{reference}`: {", ".join(told)} (geometric means).'
    )
    return [text] if told else []
