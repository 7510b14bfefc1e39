"""What a module costs: parameters, multiply-adds, memory for the backward pass, time."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_flop_count

Job = tuple[nn.Module, Sequence[Tensor]]


def _attention_flops(query, key, value, *args, out_shape=None, **kwargs) -> int:
    return sdpa_flop_count(query, key, value)


def _convolution_flops(x, weight, *args, out_shape=None, **kwargs) -> int:
    return conv_flop_count(x, weight, out_shape)


# torch itself counts only the fused attention kernels of GPUs, and not what `PackedConv2d` calls.
_CPU_KERNELS = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
if torch.backends.mkldnn.is_available():
    _CPU_KERNELS[torch.ops.mkldnn._convolution_pointwise] = _convolution_flops


@dataclass(frozen=True)
class Cost:
    """For one image: parameters, multiply-adds of convolutions and matrix products in a forward
    pass, and bytes that a forward pass in training keeps for the backward pass."""

    parameters: int
    macs: float
    memory: float


def measure_cost(build: Callable[[], nn.Module], shapes: Sequence[Sequence[int]]) -> Cost:
    """Count in one training forward pass, on tensors without values: no arithmetic is done.

    Args:
        build: Makes the module.
        shapes: Of its inputs, (B, C, H, W).
    """
    parameters = 0

    def forward(module: nn.Module, *inputs: Tensor) -> object:
        nonlocal parameters
        parameters = sum(parameter.numel() for parameter in module.parameters())
        return module(*inputs)

    with FlopCounterMode(display=False, custom_mapping=_CPU_KERNELS) as counter:
        memory = training_memory(build, forward, shapes)
    return Cost(parameters, counter.get_total_flops() / 2 / shapes[0][0], memory)


def training_memory(
    build: Callable[[], nn.Module],
    forward: Callable[..., object],
    shapes: Sequence[Sequence[int]],
) -> float:
    """Bytes for one image that a forward pass in training keeps for the backward pass.

    Args:
        build: Makes the module.
        forward: Called with the module and its inputs.
        shapes: Of the inputs, (B, C, H, W).
    """
    saved: dict[StorageWeakRef, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    # Losses count pixels by a mask, whose number of elements stays a symbol.
    with FakeTensorMode(shape_env=ShapeEnv()):
        module = build().train()
        inputs = [torch.empty(shape, requires_grad=True) for shape in shapes]
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            output = forward(module, *inputs)
        own = {_storage(tensor) for tensor in (*module.parameters(), *module.buffers())}
        kept = sum(size for storage, size in saved.items() if storage not in own)
        del output
    return kept / shapes[0][0]


def count_macs(run: Callable[[], object], kind: str = '') -> float:
    """Multiply-adds of convolutions, matrix products and attention in what ``run`` does.

    Args:
        run: Takes no arguments.
        kind: Count those operators alone whose name has this in it.
    """
    with FlopCounterMode(display=False, custom_mapping=_CPU_KERNELS) as counter:
        run()
    flops = counter.get_flop_counts().get('Global', {})
    return sum(count for operator, count in flops.items() if kind in str(operator)) / 2


def readable(value: float) -> str:
    """A count for people: 1234567 -> '1.2 M'."""
    for unit, size in (('G', 1e9), ('M', 1e6), ('k', 1e3)):
        if abs(value) >= size:
            return f'{two_digits(value / size)} {unit}'
    return f'{value:.0f}'


def two_digits(value: float) -> str:
    """Two significant digits, more only in front of the point."""
    return f'{value:.0f}' if value >= 9.95 else f'{value:.1f}'


def _storage(tensor: Tensor) -> StorageWeakRef:
    """Names the memory of a tensor, which its views share."""
    return StorageWeakRef(tensor.untyped_storage())


def relative_latencies(
    reference: Job, jobs: Mapping[str, Job], seconds: float = 120
) -> tuple[dict[str, float], float, int]:
    """Time inference of each job against the reference, interleaved in this process.

    Each round times every job right after the reference, so that both see the same machine. The
    first round warms up and does not count.

    Args:
        reference: Module in evaluation mode and its inputs.
        jobs: The same by name.
        seconds: No round starts later than this.

    Returns:
        The median ratio to the reference by name, the reference's median milliseconds, both for
        one image, and the number of rounds.
    """
    ratios: dict[str, list[float]] = {name: [] for name in jobs}
    references: list[float] = []
    start = time.perf_counter()
    rounds = -1
    while rounds < 1 or time.perf_counter() - start < seconds:
        rounds += 1
        for name, job in jobs.items():
            base, own = _seconds(reference), _seconds(job)
            if rounds:
                references.append(base)
                ratios[name].append(own / base)
    return (
        {name: median(values) for name, values in ratios.items()},
        1e3 * median(references),
        rounds,
    )


@torch.no_grad()
def _seconds(job: Job) -> float:
    module, inputs = job
    start = time.perf_counter()
    module(*inputs)
    if inputs[0].is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / len(inputs[0])
