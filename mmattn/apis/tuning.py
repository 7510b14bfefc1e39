"""Which runtime is the fastest on this machine for a model, and images of one size."""

import copy
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmattn.apis.models import refuse_clips
from mmattn.apis.segmentor import Segmentor
from mmattn.cost import relative_latencies
from mmattn.engine.agreement import EQUAL, Agreement
from mmattn.engine.candidates import CANDIDATES
from mmattn.engine.choices import conditions, folder, key, remember
from mmattn.engine.inference import LeanInference
from mmattn.engine.optimized import optimized
from mmattn.engine.runtimes import Run, is_exported
from mmattn.errors import UserError, first_line
from mmattn.files import check_writable

WORTH = 1.05  # times as fast as the modules themselves: less is not worth the start of a runtime


@dataclass(frozen=True)
class Candidate:
    """What was measured.

    Attributes:
        name: One of `mmattn.engine.candidates.CANDIDATES`.
        milliseconds: Of the network, for one image or window: the median.
        speed_up: How many times as fast it is as the modules themselves: the median of the rounds.
        equal: Share of the labels of all images that are those of the model as it was trained.
        start: Seconds until its first result, beyond those of the others.
    """

    name: str
    milliseconds: float
    speed_up: float
    equal: float
    start: float


@dataclass(frozen=True)
class Tuning:
    """What `tune` found.

    Attributes:
        conditions: What it holds for.
        candidates: Those that can run here; ``optimized`` are the modules themselves.
        left_out: Why others cannot, by their names.
        choice: The fastest with 99 % of the labels, by its name.
        file: Where it is remembered.
    """

    conditions: dict[str, Any]
    candidates: tuple[Candidate, ...]
    left_out: dict[str, str]
    choice: str
    file: Path


def tune(
    config: str | Path,
    checkpoint: str | Path,
    image: Any,
    *others: Any,
    seconds: float = 30,
    device: str | torch.device | None = None,
    batch_size: int = 1,
    cfg_options: dict[str, Any] | None = None,
) -> Tuning:
    """Measure which runtime is the fastest for a model on this machine, and remember it.

    `Segmentor(config, checkpoint)` and what stands on it then use it for images, or windows, that
    reach the network in the size of this one, and as many together. The choice holds for other
    weights, too.

    Args:
        config: config file.
        checkpoint: weights of that config's model: a file, or the name of a model that
            MMSegmentation publishes, which is downloaded.
        image: one of those that shall be predicted, as `Segmentor.predict` takes them.
        others: more of them. Their labels are compared, too; those of other sizes come from the
            faster copy.
        seconds: for how long networks are timed, when they are made.
        device: where the model shall be; default: a GPU where there is one, else the CPU.
        batch_size: how many images go through the network together, each as often as that. A CPU
            needs no choice for several: they go one by one through the one for one image.
        cfg_options: overrides, dotted key to value.

    Raises:
        UserError: Whatever can be known to be wrong with these.
    """
    if is_exported(checkpoint):
        raise UserError(f'{checkpoint} is exported, and runs as it is: give the checkpoint')
    check_writable(folder(), 'the cache', 'name another folder by the variable MMATTN_CACHE')
    segmentor = Segmentor(
        config,
        checkpoint,
        device=device,
        optimize=False,
        batch_size=batch_size,
        cfg_options=cfg_options,
    )
    refuse_clips(segmentor.model, 'tuning measures')
    packed = segmentor.load(image).packed
    fast = optimized(segmentor.model)
    if not isinstance(fast, LeanInference):
        kind = type(segmentor.model).__name__
        raise UserError(f'{kind} infers in a way of its own, in which nothing can be exchanged')
    settings = segmentor.model.cfg.model
    with torch.inference_mode():
        inputs = _network_inputs(fast, packed, batch_size)
        held = conditions(settings, inputs)
        runs, starts, left_out = _made(fast, inputs, key(held))
        images = chain([packed], (segmentor.load(other).packed for other in others))
        equal = _equal(segmentor.model, fast, runs, inputs.shape, images, batch_size)
        jobs = {name: (run, [inputs]) for name, run in runs.items()}
        plain = {'optimized': jobs.pop('optimized')}
        ratios, milliseconds, _ = relative_latencies(*plain.values(), jobs or plain, seconds)
    ratios = {'optimized': 1.0} | {name: ratios[name] for name in jobs}
    candidates = tuple(
        Candidate(name, ratio * milliseconds, 1 / ratio, equal[name], starts[name])
        for name, ratio in ratios.items()
    )
    best = _best(candidates)
    facts = dict(config=Path(config).stem, speed_up=best.speed_up, left_out=left_out)
    facts['candidates'] = [asdict(candidate) for candidate in candidates]
    file = remember(held, best.name, facts)
    return Tuning(held, candidates, left_out, best.name, file)


def _network_inputs(fast: LeanInference, packed: dict, batch_size: int) -> Tensor:
    """What a batch is when it reaches the network: all of it, or its first windows."""
    seen = []
    fast.stand_in = lambda _, inputs: seen.append(inputs)
    _labels(fast, packed, batch_size)
    fast.stand_in = None
    return seen[0]


def _made(
    fast: LeanInference, inputs: Tensor, key: str
) -> tuple[dict[str, Run], dict[str, float], dict[str, str]]:
    """What can run here, the seconds that each takes to start, and why others cannot."""
    runs, starts, left_out = {}, {}, {}
    for name, make in CANDIDATES.items():
        try:
            make(fast, inputs, key)  # files that are written once are there from now on
            start = time.perf_counter()
            run = make(fast, inputs, key)
            run(inputs).sum().item()  # it is waited for
        except Exception as error:  # of compilers and runtimes
            if name == 'optimized':
                raise
            left_out[name] = str(error) if isinstance(error, UserError) else first_line(error)
        else:
            runs[name], starts[name] = run, time.perf_counter() - start
    return runs, starts, left_out


def _equal(
    model: nn.Module,
    fast: LeanInference,
    runs: Mapping[str, Run],
    shape: torch.Size,
    images: Iterable[dict],
    batch_size: int,
) -> dict[str, float]:
    """Share of the model's labels that are predicted with something in the network's place."""
    agreements = {name: Agreement() for name in runs}
    for packed in images:
        expected = _labels(model, packed)
        for name, run in runs.items():
            fast.stand_in = lambda _, given, run=run: run(given) if given.shape == shape else None
            agreements[name].add(_labels(fast, packed, batch_size), expected)
            fast.stand_in = None
    return {name: agreement.share for name, agreement in agreements.items()}


def _labels(model: nn.Module, packed: dict, batch_size: int = 1) -> Tensor:
    """Of an image, in a batch of the same."""
    data = pseudo_collate([copy.deepcopy(packed) for _ in range(batch_size)])  # it is changed
    return model.test_step(data)[0].pred_sem_seg.data


def _best(candidates: tuple[Candidate, ...]) -> Candidate:
    worthy = [each for each in candidates if each.equal >= EQUAL and each.speed_up >= WORTH]
    return max(worthy or candidates[:1], key=lambda each: each.speed_up)
