"""Inference in sliding windows, optimised, against mmseg's."""

from functools import partial

from mmattn.benchmarks import inference
from mmattn.benchmarks.models import METHODS
from mmattn.benchmarks.timing import mean_speed_ups

TITLE = 'Sliding windows'
TEXT = """\
As `mmattn benchmark inference`, with the models of the configs for Cityscapes (ResNet-50 of output
stride 8, 19 classes) that test in windows of 769x769, 513 apart: eight in an image of 1024x2048."""
SIDE, REFERENCE = inference.SIDE, inference.REFERENCE
SIZES = ((1024, 2048),)
MODELS = METHODS
extras, findings = inference.extras, mean_speed_ups
cases = partial(inference.cases, pattern='{0}/{0}_r50-d8_4xb2-80k_cityscapes-769x769.py')
