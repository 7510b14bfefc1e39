"""Time the metric of mmattn against mmseg's IoUMetric on the same maps, in one process.

    python benchmarks/evaluation.py [--device cuda]

Writes evaluation_DEVICE.json and .md into benchmarks/results. The sides of a case run in turns on
the same maps; the figures are medians, with quartiles.
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
from mmseg.evaluation import IoUMetric
from torch import Tensor

from mmattn import __version__
from mmattn.evaluation import SegmentationMetric
from mmattn.provenance import device_name

RESULTS = Path(__file__).parent / 'results'
SIZES = [(1024, 2048), (512, 512)]
CLASSES = [150, 19]
ROUNDS = 9
IGNORED = 255
SIDES = {
    'mmseg': IoUMetric(),
    'mmattn': SegmentationMetric(),
    'with confusion': SegmentationMetric(confusion=True),
    'with boundary': SegmentationMetric(boundary_ratio=0.02),
}


def make_maps(size: tuple[int, int], num_classes: int, device: str) -> tuple[Tensor, Tensor]:
    """Prediction and label, int64: squares of 16 x 16; a third of the predictions is random, a
    twentieth of the labels ignored."""
    generator = torch.Generator().manual_seed(0)
    height, width = size

    def classes(*shape: int) -> Tensor:
        return torch.randint(num_classes, shape, generator=generator)

    squares = classes(height // 16 + 1, width // 16 + 1)
    label = squares.repeat_interleave(16, 0).repeat_interleave(16, 1)[:height, :width]
    prediction = label.where(torch.rand(size, generator=generator) > 1 / 3, classes(*size))
    label = label.where(torch.rand(size, generator=generator) > 1 / 20, IGNORED)
    return prediction.to(device), label.contiguous().to(device)


def seconds(job: Callable[[], object], device: str) -> float:
    if device == 'cuda':
        torch.cuda.synchronize()
    start = time.perf_counter()
    job()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_case(size: tuple[int, int], num_classes: int, device: str) -> dict:
    """Milliseconds of each side: lower quartile, median, upper quartile."""
    maps = make_maps(size, num_classes, device)
    counts = {
        name: metric.intersect_and_union(*maps, num_classes, IGNORED)
        for name, metric in SIDES.items()
    }  # a warm-up, too
    for ours, theirs in zip(counts['mmattn'], counts['mmseg'], strict=True):
        assert torch.equal(ours.double(), theirs.double())
    times = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name, metric in SIDES.items():
            job = metric.intersect_and_union
            times[name].append(seconds(lambda: job(*maps, num_classes, IGNORED), device))  # noqa: B023
    milliseconds = {name: [1e3 * x for x in quantiles(spent)] for name, spent in times.items()}
    case = {'height': size[0], 'width': size[1], 'classes': num_classes}
    speed_up = milliseconds['mmseg'][1] / milliseconds['mmattn'][1]
    return case | {'speed-up': speed_up, 'milliseconds': milliseconds}


def measure(device: str) -> dict:
    cases = []
    for size in SIZES:
        for num_classes in CLASSES:
            cases.append(measure_case(size, num_classes, device))
            print(_row(cases[-1]), flush=True)
    return {
        'device': device_name(device),
        'threads': torch.get_num_threads(),
        'load': os.getloadavg()[2],
        'versions': {
            'mmattn': __version__,
            'torch': torch.__version__,
            'python': platform.python_version(),
            'cuda': torch.version.cuda,
        },
        'cases': cases,
    }


def _row(case: dict) -> str:
    cells = [f'{case["height"]}x{case["width"]}', str(case['classes']), f'{case["speed-up"]:.1f}']
    for low, middle, high in case['milliseconds'].values():
        cells.append(f'{middle:.1f} ({low:.1f} to {high:.1f})')
    return '| ' + ' | '.join(cells) + ' |'


def render(results: dict, command: str) -> str:
    versions = ', '.join(f'{name} {value}' for name, value in results['versions'].items() if value)
    columns = ['H x W', 'classes', 'speed-up', *(f'{name}: ms' for name in SIDES)]
    lines = [
        f'# Counting pixels for IoU on {results["device"]}',
        '',
        f'{versions}, {results["threads"]} threads. Command: `{command}`. The average load of the '
        f'machine in the 15 minutes up to the end was {results["load"]:.1f} processes.',
        '',
        'One label map and one prediction, int64, from the maps to the areas of each class: '
        '`intersect_and_union` of the two metrics. The sides take turns in one process; medians '
        f'(quartiles) of {ROUNDS} rounds. The speed-up is of `mmattn` over `mmseg`, whose areas it '
        'equals. The last columns add the confusion matrix, and boundary IoU with a ratio of 0.02.',
        '',
        '| ' + ' | '.join(columns) + ' |',
        '|' + '---|' * len(columns),
        *(_row(case) for case in results['cases']),
    ]
    return '\n'.join(lines) + '\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--out', type=Path, default=RESULTS, help='folder of the two files')
    args = parser.parse_args()
    results = measure(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    target = args.out / f'evaluation_{args.device}'
    target.with_suffix('.json').write_text(json.dumps(results, indent=1) + '\n')
    command = f'python benchmarks/evaluation.py --device {args.device}'
    target.with_suffix('.md').write_text(render(results, command))
    print(target.with_suffix('.md'))


if __name__ == '__main__':
    main()
