"""What the model of a config costs, beside what `look_at_model` counts."""

import copy

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmattn.cost import training_memory
from mmattn.preflight.heads import compute_losses
from mmattn.preflight.model import input_shape
from mmattn.preflight.pretrained import drop_pretrained


def build_without_weights(cfg: Config) -> nn.Module:
    """The model of a config with random weights, in which every layer runs on a CPU."""
    cfg = copy.deepcopy(cfg)
    drop_pretrained(cfg)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    return revert_sync_batchnorm(MODELS.build(cfg.model))


def activations(cfg: Config, size: tuple[int, int]) -> float:
    """Bytes for one image that a training step keeps for the backward pass, losses included.

    Args:
        cfg: The config.
        size: Height and width of the image.
    """
    with FakeTensorMode():
        frames, *shape = input_shape(build_without_weights(cfg), cfg.model, size)
    # Two images, or clips: norms of pooled maps want more than one value.
    shapes = [(2 * frames, *shape)]
    return training_memory(lambda: build_without_weights(cfg), compute_losses, shapes)
