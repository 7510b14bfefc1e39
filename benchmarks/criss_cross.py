"""Time the criss-cross kernel against the einsum composition that mmcv uses, in one process.

    python benchmarks/criss_cross.py [--device cuda] [--quick]

Writes criss_cross_DEVICE.json and .md into benchmarks/results. The two sides of a case run in
turns on the same inputs; the figures are medians. Nothing else should run beside it.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mmattn import __version__
from mmattn.attention import CrissCross, PositionAttention
from mmattn.ops import criss_cross_attention
from mmattn.ops.extension import EXTENSION
from mmattn.provenance import device_name

RESULTS = Path(__file__).parent / 'results'
SIZES = [(8, 8), (16, 16), (32, 32), (64, 64), (97, 97), (128, 256)]
CHANNELS = [64, 128, 256, 512]
LARGE = [(97, 97), (128, 256)]
DTYPES = {
    'cpu': [torch.float32, torch.bfloat16],
    'cuda': [torch.float32, torch.float16, torch.bfloat16],
}
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def einsum_composition(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The computation of mmcv.ops.CrissCrossAttention between its convolutions."""
    height = query.shape[2]
    diagonal = torch.full((height,), float('-inf'), dtype=query.dtype, device=query.device).diag()
    column = (torch.einsum('bchw,bciw->bwhi', query, key) + diagonal).transpose(1, 2)
    row = torch.einsum('bchw,bchj->bhwj', query, key)
    attention = torch.cat([column, row], dim=-1).softmax(dim=-1)
    out = torch.einsum('bciw,bhwi->bchw', value, attention[..., :height])
    out += torch.einsum('bchj,bhwj->bchw', value, attention[..., height:])
    return out


SIDES = {'kernel': criss_cross_attention, 'einsum': einsum_composition}


def make_inputs(
    size: tuple[int, int], channels: int, dtype: torch.dtype, device: str, channels_last: bool
) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def tensor(n: int) -> Tensor:
        x = torch.randn(1, n, *size, generator=generator) / n**0.25
        return x.to(device, dtype).contiguous(memory_format=layout)

    inputs = [tensor(n).requires_grad_() for n in (channels // 8, channels // 8, channels)]
    return inputs, tensor(channels)


def forward(attend: Attention, inputs: list[Tensor], grad_out: Tensor) -> Tensor:
    with torch.no_grad():
        return attend(*inputs)


def forward_backward(
    attend: Attention, inputs: list[Tensor], grad_out: Tensor
) -> tuple[Tensor, ...]:
    out = attend(*inputs)
    return out, *torch.autograd.grad(out, inputs, grad_out)


PASSES = {'forward': forward, 'forward+backward': forward_backward}


def seconds(job: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    job()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(jobs: dict[str, Callable[[], object]], device: str, budget: float) -> dict:
    """Median seconds by name; at least five rounds after a warm-up, until the budget is spent."""
    times = {name: [] for name in jobs}
    start = time.perf_counter()
    rounds = -1
    while rounds < 5 or time.perf_counter() - start < budget:
        rounds += 1
        for name, job in jobs.items():
            spent = seconds(job, device)
            if rounds:
                times[name].append(spent)
    return {name: median(values) for name, values in times.items()}


def peak_memory(job: Callable[[], object], device: str) -> int:
    """Bytes allocated at the peak beyond what was there before and what the job returns.

    On the CPU those that the calling thread allocates: all but the small scratchpads of the 16-bit
    products of other threads.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = job()
        return torch.cuda.max_memory_allocated() - before - _bytes(result)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = job()
    current = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == '[memory]':
            current += event.nbytes()
            peak = max(peak, current)
    return peak - _bytes(result)


def _bytes(result: Tensor | tuple[Tensor, ...]) -> int:
    tensors = (result,) if isinstance(result, Tensor) else result
    return sum(x.nbytes for x in tensors)


def measure_case(
    size: tuple[int, int], channels: int, dtype: torch.dtype, device: str, channels_last: bool
) -> dict:
    inputs, grad_out = make_inputs(size, channels, dtype, device, channels_last)
    height, width = size
    flops = 2 * height * width * (height + width) * (channels + channels // 8)
    case = {
        'dtype': _name(dtype),
        'layout': 'channels_last' if channels_last else 'contiguous',
        'height': height,
        'width': width,
        'channels': channels,
    }
    for name, run in PASSES.items():
        jobs = {
            side: lambda run=run, attend=attend: run(attend, inputs, grad_out)
            for side, attend in SIDES.items()
        }
        times = interleaved(jobs, device, budget=1.0 if size in LARGE else 0.3)
        memory = {side: peak_memory(job, device) for side, job in jobs.items()}
        case[name] = {
            'milliseconds': 1e3 * times['kernel'],
            'speed-up': times['einsum'] / times['kernel'],
            'gflops': flops * (3 if run is forward_backward else 1) / times['kernel'] / 1e9,
            'memory': memory['kernel'] / 2**20,
            'memory ratio': memory['kernel'] / memory['einsum'],
        }
    return case


def peak_gflops(dtype: torch.dtype, device: str) -> float:
    """Of a large square matrix product, the most that this device gives."""
    x = torch.randn(4096, 4096).to(device, dtype)
    times = [seconds(lambda: x @ x, device) for _ in range(6)]
    return 2 * 4096**3 / min(times) / 1e9


def non_local_composition(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Full self-attention, as non-local blocks compute it."""
    query, key, value = (x.flatten(2) for x in (query, key, value))
    attention = (query.transpose(1, 2) @ key).softmax(dim=-1)
    return value @ attention.transpose(1, 2)


def two_steps(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    return criss_cross_attention(query, key, value), criss_cross_attention(query, key, value)


def against_non_local(device: str) -> dict:
    """The paper's comparison: two criss-cross steps and a non-local block with the same widths."""
    rows = {}
    sides = {
        'RCCA': (CrissCross(512, recurrence=2), two_steps),
        'non-local': (PositionAttention(512), non_local_composition),
    }
    inputs, _ = make_inputs((97, 97), 512, torch.float32, device, channels_last=False)
    for name, (module, attend) in sides.items():
        module = module.to(device).train()
        x = inputs[2].detach()
        with FlopCounterMode(display=False) as counter:
            module(x)
        jobs = {'attention': partial(attend, *inputs), 'block': partial(module, x)}
        rows[name] = {
            'gflops': counter.get_total_flops() / 1e9,
            **{part: peak_memory(job, device) / 2**20 for part, job in jobs.items()},
        }
    return rows


def measure(device: str, quick: bool) -> dict:
    cases = []
    sizes = LARGE if quick else SIZES
    channels = CHANNELS[-1:] if quick else CHANNELS
    todo = [
        (size, n, dtype, channels_last)
        for dtype in DTYPES[device]
        for channels_last in (False, True)
        for size in sizes
        for n in channels
    ]
    for index, (size, n, dtype, channels_last) in enumerate(todo, start=1):
        cases.append(measure_case(size, n, dtype, device, channels_last))
        print(f'{index} of {len(todo)}: {_row(cases[-1])}', flush=True)
    return {
        'device': device_name(device),
        'threads': torch.get_num_threads(),
        'versions': {
            'mmattn': __version__,
            'torch': torch.__version__,
            'python': platform.python_version(),
            'cuda': torch.version.cuda,
        },
        'peak gflops': {_name(dtype): peak_gflops(dtype, device) for dtype in DTYPES[device]},
        'cases': cases,
        'against non-local': against_non_local(device),
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')


def _row(case: dict) -> str:
    cells = [
        case['dtype'],
        case['layout'],
        f'{case["height"]}x{case["width"]}',
        f'{case["channels"] // 8}/{case["channels"]}',
    ]
    for name in PASSES:
        run = case[name]
        cells += [
            f'{run["milliseconds"]:.2f}',
            f'{run["speed-up"]:.2f}',
            f'{run["gflops"]:.0f}',
            f'{run["memory"]:.1f} ({run["memory ratio"]:.2f})',
        ]
    return '| ' + ' | '.join(cells) + ' |'


def render(results: dict, command: str) -> str:
    columns = ['dtype', 'layout', 'H x W', 'Cq/C']
    for name in PASSES:
        columns += [f'{name}: ms', 'speed-up', 'GFLOP/s', 'extra MiB (ratio)']
    rows = results['against non-local']
    share = {name: value / rows['non-local'][name] for name, value in rows['RCCA'].items()}
    peaks = ', '.join(f'{name} {value:.0f}' for name, value in results['peak gflops'].items())
    versions = ', '.join(f'{name} {value}' for name, value in results['versions'].items() if value)
    lines = [
        f'# Criss-cross attention on {results["device"]}',
        '',
        f'{versions}, {results["threads"]} threads. Command: `{command}`.',
        '',
        'Speed-up and memory ratio are against the einsum composition of mmcv, on the same inputs '
        'in turns, medians. GFLOP/s count the products of the attention (three times as many with '
        'the backward pass). Extra memory is the peak beyond inputs and results. Matrix products '
        f'of 4096 x 4096 reach, in GFLOP/s: {peaks}.',
        '',
        '| ' + ' | '.join(columns) + ' |',
        '|' + '---|' * len(columns),
        *(_row(case) for case in results['cases']),
        '',
        'Against a non-local block of the same widths (`PositionAttention`: 512 channels, keys of '
        '64) on 97 x 97 pixels in float32, two criss-cross steps take '
        f'{rows["RCCA"]["gflops"]:.1f} of {rows["non-local"]["gflops"]:.1f} '
        f'GFLOPs ({1 - share["gflops"]:.0%} fewer). A training forward pass takes '
        f'{rows["RCCA"]["attention"]:.1f} of {rows["non-local"]["attention"]:.1f} MiB for the '
        'attention, beyond queries, keys, values and outputs '
        f'({1 / share["attention"]:.0f} times less), and {rows["RCCA"]["block"]:.0f} of '
        f'{rows["non-local"]["block"]:.0f} MiB for the block with its convolutions '
        f'({1 / share["block"]:.1f} times less).',
    ]
    return '\n'.join(lines) + '\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--quick', action='store_true', help='the two large sizes only')
    parser.add_argument('--out', type=Path, default=RESULTS, help='folder of the two files')
    args = parser.parse_args()
    if missing := EXTENSION.missing(args.device):
        parser.error(missing)
    if args.device == 'cuda':
        torch.backends.cuda.matmul.allow_tf32 = False
    results = measure(args.device, args.quick)
    command = f'python benchmarks/criss_cross.py --device {args.device}'
    args.out.mkdir(parents=True, exist_ok=True)
    target = args.out / f'criss_cross_{args.device}'
    target.with_suffix('.json').write_text(json.dumps(results, indent=1) + '\n')
    target.with_suffix('.md').write_text(render(results, command + (' --quick' * args.quick)))
    print(target.with_suffix('.md'))


if __name__ == '__main__':
    main()
