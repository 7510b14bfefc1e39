"""Inference with whole models, optimised, against mmseg's."""

import copy
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmattn.benchmarks import Case, Options, words
from mmattn.benchmarks.models import INFERENCE, METHODS, batch, build_pair, load
from mmattn.benchmarks.peaks import measure_peaks
from mmattn.benchmarks.timing import mean_speed_ups
from mmattn.cost import count_macs
from mmattn.engine.candidates import written_for_openvino
from mmattn.engine.formats import FORMATS
from mmattn.engine.inference import LeanInference
from mmattn.engine.optimized import optimized
from mmattn.engine.runtimes import Run

TITLE = 'Inference'
TEXT = """\
Whole models of the configs for ADE20K (ResNet-50 of output stride 8, 150 classes): from the
pixels of one image to its labels, by `test_step`. `mmseg` is the model with mmseg's head, in
float32, as mmseg's tools run it; `mmattn` is what `mmattn.Segmentor` and `--optimize` make of
ours with the same weights, and `mmattn, OpenVINO` the same where `mmattn tune` has chosen OpenVINO
for the network. Weights are random: *equal labels* are those of a side and of the plain model in
float32, on an image of noise, where many pixels are nearly undecided; of trained models more are
equal (`mmattn tune` with a folder of images says how many). *Extra* memory is what torch allocates;
*resident* is by how much the process grows, what oneDNN and OpenVINO allocate for themselves too.
The memory of weights is not counted; on a CPU our sides hold those of large convolutions a second
time, in the layout of the kernels. FLA has no twin in mmseg."""
SIDE, REFERENCE = 'side', 'mmseg'
OPENVINO = 'mmattn, OpenVINO'
SIZES = ((512, 512),)
MODELS = METHODS
extras, findings = measure_peaks, mean_speed_ups
_NORMS_SEE = (256, 256)


def cases(options: Options, pattern: str = INFERENCE) -> Iterator[Case]:
    """A case for each method and size of the image.

    Args:
        options: What is measured.
        pattern: Config of a method.
    """
    for method in options.models:
        models = build_pair(load(pattern, method), options.device)
        plain = models[REFERENCE if REFERENCE in models else 'mmattn'].eval()
        _use_norms(plain)
        models['mmattn'].load_state_dict(plain.state_dict())
        models['mmattn'] = optimized(models['mmattn'])
        if options.device == 'cpu' and all(map(find_spec, FORMATS['openvino'].packages)):
            models[OPENVINO] = _with_openvino(models['mmattn'])
        for size in options.sizes:
            image = batch(1, size)
            jobs = {side: partial(_labels, model, image) for side, model in models.items()}
            expected = _labels(plain, image)
            ours = [side for side in jobs if side != REFERENCE]
            equal = {side: (jobs[side]() == expected).float().mean() for side in ours}
            yield Case(
                labels={'method': method, 'image': words(size)},
                jobs=jobs,
                macs={side: count_macs(jobs[side]) for side in jobs if side != OPENVINO},
                images=1,
                facts={side: {'equal labels': f'{share:.2%}'} for side, share in equal.items()},
                foreign=frozenset({OPENVINO}),
                resident=True,
                profiled=True,
            )


def _with_openvino(fast: nn.Module) -> nn.Module:
    networks: dict[torch.Size, Run] = {}

    def stand_in(segmentor: LeanInference, inputs: Tensor) -> Tensor:
        if inputs.shape not in networks:
            with TemporaryDirectory() as folder:
                file = Path(folder, 'made', 'network.xml')
                networks[inputs.shape] = written_for_openvino(segmentor, inputs.shape, file)
        return networks[inputs.shape](inputs)

    other = copy.copy(fast)
    other.stand_in = stand_in
    return other


def _use_norms(model: nn.Module) -> None:
    """Give batch norms the statistics of some images, as training would."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.train().momentum = None  # the mean over batches
        norm.reset_running_stats()
    _labels(model, batch(2, _NORMS_SEE))
    model.eval()


@torch.no_grad()
def _labels(model: nn.Module, images: dict) -> Tensor:
    (sample, *_) = model.test_step(copy.deepcopy(images))  # it changes the samples
    return sample.pred_sem_seg.data
