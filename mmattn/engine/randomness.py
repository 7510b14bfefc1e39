"""Random numbers that depend on the seed and the place in the run, and on nothing before it.

So a run that goes on from iteration i draws what an uninterrupted one draws there, whatever was
drawn in between by validations, other hooks or worker processes.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_all(*entropy: int) -> None:
    """Seed python, numpy and torch (all devices) from some non-negative numbers."""
    torch_seed = _seed_cpu(*entropy)
    torch.manual_seed(torch_seed)


@contextmanager
def seeded(*entropy: int) -> Iterator[None]:
    """Random numbers on the CPU from these numbers; the states before it are put back."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(_seed_cpu(*entropy))
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _seed_cpu(*entropy: int) -> int:
    """Seed python and numpy; return a seed of 63 bits for torch."""
    words = np.random.SeedSequence(entropy).generate_state(4, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(words[1:3].view(np.uint32))
    return int(words[3] >> np.uint64(1))
