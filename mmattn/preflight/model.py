"""The model of a config, looked at without arithmetic: does it fit together, what does it cost?"""

import copy
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from mmattn.cost import count_macs, readable
from mmattn.errors import UserError, explain_settings, first_line, is_of_libraries
from mmattn.models.mechanisms import TABLE
from mmattn.preflight.heads import (
    check_heads,
    check_inference,
    check_losses,
    compute_losses,
    train_but_for_norms,
)

# The places of a backbone that hold attention.
_PLUGGED = ('plugins', 'fusion', 'conv2')
_DEFAULT_SIZE = (512, 512)


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model before it is trained; printed, one or two lines for people.

    Attributes:
        shapes: Shape of each entry of the state dict.
        parameters: Number of parameters.
        size: Height and width of the image that ``macs`` is for.
        macs: Multiply-adds of an inference on one image; None where they cannot be counted.
        backbone: Parameters of the backbone without what is plugged into it.
        plugged: Parameters that plugins, fusions and replaced convolutions add to that.
        plugged_macs: Multiply-adds that they add; None where they cannot be counted.
        places: What is plugged in, and where it is meant to stand, where that is known.
    """

    shapes: dict[str, tuple[int, ...]]
    parameters: int
    size: tuple[int, int]
    macs: float | None
    backbone: int
    plugged: int
    plugged_macs: float | None
    places: dict[str, str]

    def __str__(self) -> str:
        height, width = self.size
        line = f'model: {readable(self.parameters)} parameters'
        if self.macs is None:
            line += ' (multiply-adds cannot be counted without values)'
        else:
            line += f', {readable(self.macs)} multiply-adds for an image of {height}x{width}'
        if not self.plugged:
            return line
        macs = (
            '' if self.plugged_macs is None else f' and {readable(self.plugged_macs)} multiply-adds'
        )
        line += (
            f'\nplugins: add {readable(self.plugged)} parameters{macs}, '
            f"{self.plugged / self.backbone:.1%} of the backbone's own {readable(self.backbone)}"
            ' parameters'
        )
        if self.plugged <= self.backbone:
            return line
        meant = ''.join(f'; {name} is meant for {place}' for name, place in self.places.items())
        return f'{line}\nwarning: the plugins more than double the backbone{meant}'


def look_at_model(cfg: Config) -> ModelFacts:
    """Build the model of a config and send an image through it, both without values.

    Its losses are computed as well, where the model is one of mmseg's segmentors.

    Raises:
        UserError: A setting that the model refuses, or a part that does not fit what it gets.
    """
    model, mode = _build(cfg.model)
    check_inference(model)
    size = _image_size(cfg)
    plugged = backbone = 0
    plugged_macs = None
    if any(cfg.model.get('backbone', {}).get(key) for key in _PLUGGED):
        bare = {key: value for key, value in cfg.model.backbone.items() if key not in _PLUGGED}
        bare_backbone, bare_mode = _build(bare)
        backbone = _count_parameters(bare_backbone)
        plugged = _count_parameters(model.backbone) - backbone
        shape = input_shape(model, cfg.model, size)
        own, whole = _macs(bare_backbone, bare_mode, shape), _macs(model.backbone, mode, shape)
        plugged_macs = None if own is None or whole is None else whole - own
    return ModelFacts(
        shapes={key: tuple(value.shape) for key, value in model.state_dict().items()},
        parameters=_count_parameters(model),
        size=size,
        macs=None if mode is None else _look_inside(model, mode, cfg.model, size),
        backbone=backbone,
        plugged=plugged,
        plugged_macs=plugged_macs,
        places=dict(_places(cfg.model.get('backbone') or {})),
    )


def _places(backbone: dict) -> Iterator[tuple[str, str]]:
    plugins = [plugin.get('cfg', {}) for plugin in backbone.get('plugins') or []]
    for settings in (*plugins, backbone.get('fusion') or {}, backbone.get('conv2') or {}):
        row = TABLE.get(settings.get('type'))
        if row is not None and row.place:
            yield settings['type'], row.place


def _build(settings: dict) -> tuple[nn.Module, FakeTensorMode | None]:
    """The model without values and the mode that it runs in; with values where that fails."""
    # Losses count pixels by a mask, whose number of elements stays a symbol.
    mode = FakeTensorMode(shape_env=ShapeEnv())
    try:
        with mode:
            return _build_here(settings), mode
    except UserError:
        raise
    except Exception:  # a module may need values; with them its error is the real one
        with explain_settings():
            return _build_here(settings), None


def _build_here(settings: dict) -> nn.Module:
    model = MODELS.build(copy.deepcopy(settings))
    model.eval()  # returns None where mmseg's ResNet is the model
    return model


def _image_size(cfg: Config) -> tuple[int, int]:
    size = (cfg.model.get('data_preprocessor') or {}).get('size') or cfg.get('crop_size')
    return tuple(size) if size else _DEFAULT_SIZE


def _macs(backbone: nn.Module, mode: FakeTensorMode | None, shape: tuple[int, ...]) -> float | None:
    """Multiply-adds of a backbone; None where it needs values, or fails as it is told elsewhere."""
    if mode is None:
        return None
    try:
        with mode, torch.no_grad():
            clip = torch.empty(shape)
            return count_macs(lambda: backbone(clip)) / len(clip)
    except Exception:
        return None


def frames_of_clip(model: nn.Module) -> int:
    """How many images a model must see together: 1, or the frames of its attention over clips."""
    return max(getattr(module, 'num_frames', 1) for module in model.modules())


def input_channels(settings: dict) -> int:
    """Channels of the images of a model, by its config."""
    return (settings.get('backbone') or {}).get('in_channels', 3)


def input_shape(model: nn.Module, settings: dict, size: tuple[int, int]) -> tuple[int, ...]:
    """(B, C, H, W) of the smallest batch that the model of a config takes."""
    return frames_of_clip(model), input_channels(settings), *size


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _look_inside(
    model: nn.Module, mode: FakeTensorMode, settings: dict, size: tuple[int, int]
) -> float | None:
    """Multiply-adds of an inference on an image; None where they cannot be counted without values.

    Raises:
        UserError: The heads do not fit, or an image of zeros fails in the libraries' own code.
    """
    levels: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple, output) -> None:
        if module.training:  # some give more maps then, which other heads read
            return
        maps = [output] if isinstance(output, Tensor) else list(output)
        levels[:] = maps if all(isinstance(x, Tensor) for x in maps) else []

    # What the heads read; a neck that fails leaves nothing to hold them against.
    parts = [getattr(model, name, None) for name in ('backbone', 'neck')]
    for part in [part for part in parts if part is not None][-1:]:
        part.register_forward_hook(keep)
    check_losses(model, settings)
    macs = error = None
    with mode, torch.no_grad():
        clip = torch.empty(input_shape(model, settings, size))
        try:
            macs = count_macs(lambda: model(clip, mode='tensor')) / len(clip)
            if isinstance(model, EncoderDecoder):
                train_but_for_norms(model)
                compute_losses(model, clip)
        except Exception as caught:
            error = caught
    check_heads(settings, [level.shape[1] for level in levels])
    # What needs values says so by an error of its own; it is no error of the config.
    if isinstance(error, UserError):
        raise error
    if error is not None and 'fake_tensor' not in type(error).__module__:
        _confirm(settings, size)
    return macs


def _confirm(settings: dict, size: tuple[int, int]) -> None:
    """Raise UserError where the model fails with values too, and in the libraries' code alone."""
    model = _build_here(settings)
    clip = torch.zeros(input_shape(model, settings, size))
    try:
        with torch.no_grad():
            model(clip, mode='tensor')
            if isinstance(model, EncoderDecoder):
                train_but_for_norms(model)
                compute_losses(model, clip)
    except (UserError, MemoryError):
        raise
    except Exception as error:
        # Operators of mmcv may lack a CPU version: what they raise says nothing of the config.
        if is_of_libraries(error, without='mmcv.ops'):
            raise UserError(
                f'{_part_of(error, model)} cannot work as the config describes it; an image of '
                f'{size[0]}x{size[1]} fails in it: {first_line(error)}'
            ) from error


def _part_of(error: Exception, model: nn.Module) -> str:
    """The part of a model whose code an error came out of."""
    names = {module: name for name, module in model.named_modules() if name}
    for frame, _ in traceback.walk_tb(error.__traceback__):
        called = frame.f_locals.get('self')
        if isinstance(called, nn.Module) and called in names:
            return f'model.{names[called]} ({type(called).__name__})'
    return 'the model'
