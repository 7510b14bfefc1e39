"""What each variant costs, counted and measured on this machine."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from mmengine.config import Config

from mmattn.cost import Job, relative_latencies
from mmattn.files import write_atomically
from mmattn.preflight.config import load_config
from mmattn.preflight.cost import activations, build_without_weights
from mmattn.preflight.model import input_shape, look_at_model
from mmattn.provenance import processor
from mmattn.studies.plan import Study

SECONDS = 1.5  # in which the inference of a variant is timed, side by side with the baseline's


@dataclass(frozen=True)
class VariantCost:
    """Of one variant; None is what could not be counted or measured.

    Attributes:
        digest: Of the configs of the variant and of the baseline that it is timed beside.
        machine: Where it was timed, in words.
        parameters: Number.
        macs: Multiply-adds of an inference on one image of ``size``.
        size: Height and width.
        activations: Bytes that a training step keeps for the backward pass, for one image.
        latency: Median milliseconds of an inference on one image of ``size``.
    """

    digest: str
    machine: str
    parameters: int
    macs: float | None
    size: tuple[int, int]
    activations: float | None
    latency: float | None


def costs_of(study: Study, configs: Mapping[str, Path]) -> dict[str, VariantCost]:
    """Costs of all variants; what was measured on this machine before is read from its file.

    Args:
        study: The study.
        configs: Config file of each variant; `cost.json` lies beside it.
    """
    machine = this_machine()
    found = {}
    for name, path in configs.items():
        own, baseline = study.variants[name], study.variants[study.baseline]
        digest = f'{own.portable_digest}-{baseline.portable_digest}'
        file = path.with_name('cost.json')
        known = _read(file)
        if known is None or (known.digest, known.machine) != (digest, machine):
            known = _measure(path, configs[study.baseline], digest, machine)
            write_atomically(file, json.dumps(asdict(known), indent=1).encode())
        found[name] = known
    return found


def this_machine() -> str:
    """Device and threads that inference is timed with."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cores = os.cpu_count()
    return f'{processor()}, {torch.get_num_threads()} of {cores} cores, float32'


def _read(file: Path) -> VariantCost | None:
    try:
        cost = VariantCost(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):  # of another version, or cut short
        return None
    return cost


def _measure(path: Path, baseline: Path, digest: str, machine: str) -> VariantCost:
    cfg = load_config(path)
    facts = look_at_model(cfg)
    return VariantCost(
        digest=digest,
        machine=machine,
        parameters=facts.parameters,
        macs=facts.macs,
        size=facts.size,
        activations=_activations(cfg, facts.size),
        latency=_latency(cfg, load_config(baseline), facts.size),
    )


def _activations(cfg: Config, size: tuple[int, int]) -> float | None:
    try:
        return activations(cfg, size)
    except Exception:  # a model may need values, or arguments of its own
        return None


def _latency(cfg: Config, baseline: Config, size: tuple[int, int]) -> float | None:
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        reference, own = (_job(each, size, device) for each in (baseline, cfg))
        ratios, milliseconds, _ = relative_latencies(reference, {'own': own}, SECONDS)
    except Exception:  # of an operator that this device lacks, or for lack of memory
        return None
    return ratios['own'] * milliseconds


def _job(cfg: Config, size: tuple[int, int], device: str) -> Job:
    model = build_without_weights(cfg).to(device)
    model.eval()
    return model, [torch.zeros(input_shape(model, cfg.model, size), device=device)]
