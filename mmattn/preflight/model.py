"""The model of a config, looked at without arithmetic: does it fit together, what does it cost?"""

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmattn.cost import count_macs, readable
from mmattn.errors import UserError, explain_settings
from mmattn.models.mechanisms import TABLE
from mmattn.preflight.config import heads_of

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
        places: What is plugged in, and where it is meant to stand, where that is known.
    """

    shapes: dict[str, tuple[int, ...]]
    parameters: int
    size: tuple[int, int]
    macs: float | None
    backbone: int
    plugged: int
    places: dict[str, str]

    def __str__(self) -> str:
        height, width = self.size
        macs = '' if self.macs is None else f', {readable(self.macs)} multiply-adds'
        line = (
            f'model: {readable(self.parameters)} parameters{macs} for an image of {height}x{width}'
        )
        if not self.plugged:
            return line
        line += (
            f'\nplugins: {readable(self.plugged)} parameters, '
            f"{self.plugged / self.backbone:.1%} of the backbone's own {readable(self.backbone)}"
        )
        if self.plugged <= self.backbone:
            return line
        meant = ''.join(f'; {name} is meant for {place}' for name, place in self.places.items())
        return f'{line}\nwarning: the plugins more than double the backbone{meant}'


def look_at_model(cfg: Config) -> ModelFacts:
    """Build the model of a config and send an image through it, both without values.

    Raises:
        UserError: A setting that the model refuses, or a head that does not fit the feature maps.
    """
    model, mode = _build(cfg.model)
    size = _image_size(cfg)
    plugged = backbone = 0
    if any(cfg.model.get('backbone', {}).get(key) for key in _PLUGGED):
        bare = {key: value for key, value in cfg.model.backbone.items() if key not in _PLUGGED}
        backbone = _count_parameters(_build(bare)[0])
        plugged = _count_parameters(model.backbone) - backbone
    return ModelFacts(
        shapes={key: tuple(value.shape) for key, value in model.state_dict().items()},
        parameters=_count_parameters(model),
        size=size,
        macs=None if mode is None else _count_macs(model, mode, cfg.model, size),
        backbone=backbone,
        plugged=plugged,
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
    mode = FakeTensorMode()
    for context in (mode, nullcontext()):
        try:
            with context, explain_settings():
                model = MODELS.build(copy.deepcopy(settings))
            model.eval()  # returns None where mmseg's ResNet is the model
            return model, mode if context is mode else None
        except UserError:
            raise
        except Exception:  # a module may need values; with them its error is the real one
            if context is not mode:
                raise
    raise AssertionError('one of both returned or raised')


def _image_size(cfg: Config) -> tuple[int, int]:
    size = (cfg.model.get('data_preprocessor') or {}).get('size') or cfg.get('crop_size')
    return tuple(size) if size else _DEFAULT_SIZE


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _count_macs(
    model: nn.Module, mode: FakeTensorMode, settings: dict, size: tuple[int, int]
) -> float | None:
    levels: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple, output) -> None:
        levels[:] = [output] if isinstance(output, Tensor) else list(output)

    for name in ('backbone', 'neck'):
        if getattr(model, name, None) is not None:
            getattr(model, name).register_forward_hook(keep)
    with mode:
        image = torch.empty(1, 3, *size)
    try:
        with mode, torch.no_grad():
            return count_macs(lambda: model(image, mode='tensor'))
    except Exception:  # told as what it is by the training itself, unless the heads are why
        return None
    finally:
        _check_heads(settings, [level.shape[1] for level in levels])


def _check_heads(settings: dict, channels: list[int]) -> None:
    """Raise UserError for a head that reads a map that is not there, or of other channels."""
    for place, head in heads_of(settings) if channels else ():
        for index, expected in _read_by(head):
            if not -len(channels) <= index < len(channels):
                raise UserError(
                    f'{place}.in_index names map {index}, but backbone and neck give '
                    f'{len(channels)}: 0 to {len(channels) - 1}'
                )
            if expected != channels[index]:
                raise UserError(
                    f'{place}.in_channels is {expected} for map {index}, which has '
                    f'{channels[index]} channels: backbone and neck give maps of '
                    f'{", ".join(map(str, channels))} channels'
                )


def _read_by(head: dict) -> Iterator[tuple[int, int]]:
    """(index, channels) of the maps that a head's settings say it reads."""
    index, channels = head.get('in_index', -1), head.get('in_channels')
    if isinstance(index, int) and isinstance(channels, int):
        yield index, channels
    elif isinstance(index, list | tuple) and isinstance(channels, list | tuple):
        yield from zip(index, channels)  # noqa: B905  the head itself refuses unequal lengths
