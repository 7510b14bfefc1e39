"""The forward pass of the decode heads against mmseg's."""

from collections.abc import Iterator
from functools import partial

import torch

from mmattn.benchmarks import Case, Options, words
from mmattn.benchmarks.models import INFERENCE, METHODS, build_pair, load
from mmattn.benchmarks.timing import mean_speed_ups
from mmattn.cost import count_macs

TITLE = 'Decode heads'
TEXT = """\
The six heads of the configs for ADE20K (ResNet-50, 150 classes) against mmseg's with the same
weights: inference in float32, from the feature maps of one image to logits, as they are built,
nothing fused and nothing optimised. FLA has no twin in mmseg."""
SIDE, REFERENCE = 'side', 'mmseg'
SIZES = ((64, 64),)
MODELS = METHODS
findings = mean_speed_ups
_CHANNELS = (256, 512, 1024, 2048)  # of the four stages of ResNet-50


def cases(options: Options) -> Iterator[Case]:
    """A case for each method and size of the feature maps."""
    for method in options.models:
        cfg = load(INFERENCE, method)
        heads = build_pair(cfg, options.device, head_only=True)
        for size in options.sizes:
            generator = torch.Generator().manual_seed(0)
            maps = [torch.randn(1, n, *size, generator=generator) for n in _CHANNELS]
            inputs = [[x.to(options.device) for x in maps]]
            if method == 'ocrnet':  # it refines the logits of another head
                classes = heads['mmattn'].num_classes
                inputs.append(
                    torch.randn(1, classes, *size, generator=generator).to(options.device)
                )
            jobs = {side: partial(_logits, head.eval(), inputs) for side, head in heads.items()}
            logits = [job() for job in jobs.values()]
            torch.testing.assert_close(logits[0], logits[-1], rtol=1e-3, atol=1e-3)
            yield Case(
                labels={'method': method, 'maps': words(size)},
                jobs=jobs,
                macs={side: count_macs(job) for side, job in jobs.items()},
            )


@torch.no_grad()
def _logits(head: torch.nn.Module, inputs: list) -> torch.Tensor:
    out = head(*inputs)
    return out[0] if isinstance(out, tuple) else out
