"""Train a mechanism on a probe and measure what it has learnt."""

import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from mmattn.probes.net import ProbeNet, build_net
from mmattn.probes.scenes import IGNORED, make_batches
from mmattn.probes.table import Probe

STEPS = 400
BATCH = 16
_TEST_IMAGES = 512
_LEARNING_RATE = 5e-3


class Outcome(NamedTuple):
    """How a net did on images that it was not trained on.

    Attributes:
        accuracy: Part of the pixels with a label that it got right, 0 to 1.
        images, pixels: How many images, and pixels with a label, this counts.
        seconds: Time of training and test.
    """

    accuracy: float
    images: int
    pixels: int
    seconds: float


def run_probe(
    probe: Probe,
    make: Callable[[int], nn.Module],
    *,
    maps: int = 1,
    seed: int = 0,
    steps: int = STEPS,
    shuffled: bool = False,
) -> Outcome:
    """Train a net with a mechanism on a probe, on the CPU.

    Adam, 16 new images a step, a learning rate of 0.005 that falls to 0 in the second half. The
    same arguments give the same outcome on processors with the same instructions; AVX512 adds in
    another order than AVX2, to which `mmattn probe` keeps (`mmattn.processor.limit_to_avx2`).

    Args:
        probe: The task.
        make: Builds the mechanism for a number of channels; it keeps the shape of its map.
        maps: 2 for a fusion of two maps.
        seed: Of the weights, and of the images that it trains on.
        steps: Number of training steps.
        shuffled: Train and test on cues that tell nothing about the labels.
    """
    start, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(1)  # more would add the same numbers in another order
    try:
        with torch.random.fork_rng(devices=[]):  # a mechanism may draw while it trains: dropout
            torch.manual_seed(seed)
            net = build_net(make, maps, seed)
            _train(net, probe, seed, steps, shuffled)
            correct, pixels = _test(net, probe, seed, shuffled)
    finally:
        torch.set_num_threads(threads)
    return Outcome(correct / pixels, _TEST_IMAGES, pixels, time.monotonic() - start)


def _train(net: ProbeNet, probe: Probe, seed: int, steps: int, shuffled: bool) -> None:
    optimizer = torch.optim.Adam(net.parameters(), _LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, 2 * (1 - step / steps))
    )
    batches = make_batches(
        probe.draw, probe.classes, f'{probe.name} {seed} training', BATCH, shuffled
    )
    net.train()
    for images, labels in islice(batches, steps):
        loss = F.cross_entropy(net(images), labels, ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def _test(net: ProbeNet, probe: Probe, seed: int, shuffled: bool) -> tuple[int, int]:
    batches = make_batches(probe.draw, probe.classes, f'{probe.name} {seed} test', 64, shuffled)
    net.eval()
    correct = pixels = 0
    for images, labels in islice(batches, _TEST_IMAGES // 64):
        asked = labels != IGNORED
        correct += int((net(images).argmax(dim=1) == labels)[asked].sum())
        pixels += int(asked.sum())
    return correct, pixels
