"""How much memory a computation takes at its peak."""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def peak_memory(job: Callable[[], object]) -> int:
    """Bytes that the calling thread allocates on the CPU at the peak."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        job()
    current = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == '[memory]':
            current += event.nbytes()
            peak = max(peak, current)
    return peak
