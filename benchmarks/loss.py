"""Time a head's cross entropy in bands of the label against mmseg's of resized logits.

    python benchmarks/loss.py

Writes loss_cpu.json and .md into benchmarks/results. Both sides run in turns, in one process, on
one head and on the same logits: mmseg's ``loss_by_feat`` and ours, each with its backward pass.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

import torch
from criss_cross import peak_memory
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor

from mmattn import __version__
from mmattn.models import GCNetHead
from mmattn.provenance import device_name

RESULTS = Path(__file__).parent / 'results'
# batch, classes, size of the logits, size of the label
CASES = [
    (8, 19, (23, 30), (180, 240)),
    (2, 19, (64, 128), (512, 1024)),
    (8, 19, (64, 128), (512, 1024)),
    (2, 150, (64, 64), (512, 512)),
]
ROUNDS = 7
SIDES = {'mmseg': BaseDecodeHead.loss_by_feat, 'mmattn': GCNetHead.loss_by_feat}


def make_jobs(case: tuple) -> dict[str, Callable[[], tuple[Tensor, Tensor]]]:
    """Of each side what computes loss and gradient of the logits."""
    batch, classes, size, label_size = case
    torch.manual_seed(0)
    head = GCNetHead(in_channels=8, channels=8, num_classes=classes)
    logits = 3 * torch.randn(batch, classes, *size)
    logits.requires_grad_()
    labels = torch.randint(classes, (batch, 1, *label_size))
    labels[torch.rand(labels.shape) < 1 / 20] = head.ignore_index
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]

    def step(loss_by_feat: Callable) -> tuple[Tensor, Tensor]:
        loss = loss_by_feat(head, logits, samples)['loss_ce']
        return loss.detach(), torch.autograd.grad(loss, logits)[0]

    return {side: lambda f=loss_by_feat: step(f) for side, loss_by_feat in SIDES.items()}


def seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def measure_case(case: tuple) -> dict:
    """Milliseconds of each side (lower quartile, median, upper quartile) and MiB at the peak."""
    jobs = make_jobs(case)
    results = {side: job() for side, job in jobs.items()}  # a warm-up, too
    (loss, grad), (expected, expected_grad) = results['mmattn'], results['mmseg']
    error = ((grad - expected_grad).abs().max() / expected_grad.abs().max()).item()
    assert abs(loss - expected) <= 1e-5 * expected and error <= 1e-5
    times = {side: [] for side in jobs}
    for _ in range(ROUNDS):
        for side, job in jobs.items():
            times[side].append(1e3 * seconds(job))
    milliseconds = {side: quantiles(spent) for side, spent in times.items()}
    batch, classes, size, label_size = case
    return {
        'batch': batch,
        'classes': classes,
        'logits': size,
        'label': label_size,
        'speed-up': milliseconds['mmseg'][1] / milliseconds['mmattn'][1],
        'milliseconds': milliseconds,
        'peak MiB': {side: peak_memory(job, 'cpu') / 2**20 for side, job in jobs.items()},
        'error of the gradient': error,
    }


def measure() -> dict:
    cases = []
    for case in CASES:
        cases.append(measure_case(case))
        print(_row(cases[-1]), flush=True)
    return {
        'device': device_name('cpu'),
        'threads': torch.get_num_threads(),
        'load': os.getloadavg()[2],
        'versions': {
            'mmattn': __version__,
            'torch': torch.__version__,
            'python': platform.python_version(),
        },
        'cases': cases,
    }


def _row(case: dict) -> str:
    cells = [f'{case[name][0]}x{case[name][1]}' for name in ('logits', 'label')]
    cells = [str(case['batch']), str(case['classes']), *cells, f'{case["speed-up"]:.1f}']
    for low, middle, high in case['milliseconds'].values():
        cells.append(f'{middle:.0f} ({low:.0f} to {high:.0f})')
    cells += [f'{peak:.0f}' for peak in case['peak MiB'].values()]
    cells.append(f'{case["error of the gradient"]:.0e}')
    return '| ' + ' | '.join(cells) + ' |'


def render(results: dict) -> str:
    versions = ', '.join(f'{name} {value}' for name, value in results['versions'].items())
    columns = ['batch', 'classes', 'logits', 'label', 'speed-up', *(f'{x}: ms' for x in SIDES)]
    columns += [*(f'{side}: MiB' for side in SIDES), 'error']
    lines = [
        f'# Cross entropy of a head on {results["device"]}',
        '',
        f'{versions}, {results["threads"]} threads. Command: `python benchmarks/loss.py`. The '
        'average load of the machine in the 15 minutes up to the end was '
        f'{results["load"]:.1f} processes.',
        '',
        'From float32 logits to the loss, `acc_seg` and the gradient of the logits: '
        '`loss_by_feat` of mmseg and of mmattn, and a backward pass. The sides take turns in one '
        f'process; medians (quartiles) of {ROUNDS} rounds. MiB are allocated at the peak beyond '
        'inputs and results. The error is the largest difference of the two gradients, by the '
        'largest gradient.',
        '',
        '| ' + ' | '.join(columns) + ' |',
        '|' + '---|' * len(columns),
        *(_row(case) for case in results['cases']),
    ]
    return '\n'.join(lines) + '\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=RESULTS, help='folder of the two files')
    args = parser.parse_args()
    results = measure()
    args.out.mkdir(parents=True, exist_ok=True)
    target = args.out / 'loss_cpu'
    target.with_suffix('.json').write_text(json.dumps(results, indent=1) + '\n')
    target.with_suffix('.md').write_text(render(results))
    print(target.with_suffix('.md'))


if __name__ == '__main__':
    main()
