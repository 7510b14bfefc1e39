"""Training steps of whole models against mmseg's."""

import copy
from collections.abc import Callable, Iterator

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmattn.apis.options import use_amp
from mmattn.benchmarks import Case, Options, Size, words
from mmattn.benchmarks.models import METHODS, TRAINING, batch, build_pair, load
from mmattn.benchmarks.peaks import measure_peaks
from mmattn.benchmarks.timing import mean_speed_ups

TITLE = 'Training'
TEXT = """\
A step of the configs `camvid_cpu` (ResNet-18 of output stride 8, batches of 8): images to
losses, backward and optimizer, by `train_step`; no data is loaded. `mmseg` is the model with
mmseg's head, in float32; `mmattn` ours, from the same weights, in channels_last as the configs
ask for, and `mmattn --amp` the same in mixed precision, which on a CPU without bfloat16 is
float32. FLA has no twin in mmseg."""
SIDE, REFERENCE = 'side', 'mmseg'
SIZES = ((180, 240),)
MODELS = METHODS
extras, findings = measure_peaks, mean_speed_ups
IMAGES = 8


def cases(options: Options) -> Iterator[Case]:
    """A case for each method and size of the images."""
    for method in options.models:
        for size in options.sizes:
            cfg = load(TRAINING, method)
            cfg.model.data_preprocessor.size = size
            pair = build_pair(cfg, options.device)
            ours = pair.pop('mmattn')
            amp = copy.deepcopy(cfg)
            use_amp(amp, cpu=options.device == 'cpu')
            jobs = {side: _step(model, cfg, size) for side, model in pair.items()}
            for side, settings in (('mmattn', cfg), ('mmattn --amp', amp)):
                model = copy.deepcopy(ours).to(memory_format=torch.channels_last)
                jobs[side] = _step(model, settings, size)
            yield Case(
                labels={'method': method, 'images': f'{IMAGES} of {words(size)}'},
                jobs=jobs,
                images=IMAGES,
                profiled=True,
            )


def _step(model: nn.Module, cfg: Config, size: Size) -> Callable[[], object]:
    """What trains the model by one step, always on the same images."""
    wrapper = build_optim_wrapper(model.train(), cfg.optim_wrapper)
    images = batch(IMAGES, size, model.num_classes)
    return lambda: model.train_step(copy.deepcopy(images), wrapper)  # it changes the samples
