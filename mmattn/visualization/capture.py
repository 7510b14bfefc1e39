"""What a model weighs, asked of its modules after it ran."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from mmattn.attention.attending import Attention, ChannelAttending, path
from mmattn.attention.weighing import Weighing, can_be_asked, record
from mmattn.errors import UserError


@contextmanager
def capture_attention(model: nn.Module) -> Iterator['CapturedAttention']:
    """Keep what goes into the attention modules of ``model`` while the block runs.

    Afterwards each can be asked what it weighs; only then, and only that, is computed:

        with capture_attention(model) as captured, torch.no_grad():
            model(images)
        captured.layers                                   # ['decode_head.cca']
        captured['decode_head.cca'].attention(x=40, y=90)  # (B, heads, h, w)

    Of several passes through a module (sliding windows, flips) the last one is kept.

    Raises:
        UserError: No module of the model can be asked.
    """
    captured = CapturedAttention(model)
    with ExitStack() as stack:
        captured.watch(stack)
        yield captured


class CapturedAttention(Mapping[str, 'CapturedLayer']):
    """The attention modules of a model by their names, as in ``named_modules``.

    Attributes:
        modules: All of them; a module inside another one that can be asked is a part of it.
        size: Height and width of what the model read, in whose pixels points are given.
            None where the model did not run as a whole; each layer then counts in its own pixels.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.modules = dict(_outermost(model))
        if not self.modules:
            raise UserError(
                f'no module of {type(model).__name__} can be asked what it attends to: its forward '
                'would take `weigh` (mmattn/attention/weighing.py). All mechanisms of mmattn do; '
                'this model has none of them'
            )
        self.size: tuple[int, int] | None = None
        self._layers: dict[str, CapturedLayer] = {}

    @property
    def layers(self) -> list[str]:
        """Names of the modules that ran."""
        return list(self._layers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __contains__(self, name: object) -> bool:
        return name in self._layers

    def __getitem__(self, name: str) -> 'CapturedLayer':
        if name in self._layers:
            return self._layers[name]
        if name in self.modules:
            raise UserError(f'layer {name} has not run: call the model inside the block')
        raise UserError(f'unknown layer {name!r}; known are {", ".join(self.modules)}')

    def watch(self, stack: ExitStack) -> None:
        """Keep the inputs of all modules until the stack is closed."""
        # The backbone too: mmseg's encode_decode passes the model's forward by.
        for module in {self.model, getattr(self.model, 'backbone', self.model)}:
            handle = module.register_forward_pre_hook(self._keep_size, with_kwargs=True)
            stack.callback(handle.remove)
        for name, module in self.modules.items():
            self._watch_layer(name, module, stack)

    def _watch_layer(self, name: str, module: nn.Module, stack: ExitStack) -> None:
        # Not a hook: mmseg's heads call their forward themselves, which runs no hooks.
        forward, former = module.forward, vars(module).get('forward')

        def keep_and_forward(*inputs, **kwargs):
            self._layers[name] = CapturedLayer(name, module, _copy(inputs), self)
            return forward(*inputs, **kwargs)

        module.forward = keep_and_forward
        if former is None:
            stack.callback(delattr, module, 'forward')
        else:
            stack.callback(setattr, module, 'forward', former)

    def _keep_size(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        maps = [x for x in _tensors([args, kwargs]) if x.dim() == 4]
        if maps:
            self.size = tuple(maps[0].shape[2:])


class CapturedLayer:
    """One attention module and the inputs that it had.

    Points are pixels (x, y) of what the model read; each stands for the pixel of the module's map
    that it falls in.
    """

    def __init__(
        self, name: str, module: nn.Module, inputs: tuple, captured: CapturedAttention
    ) -> None:
        self.name, self.module = name, module
        self._inputs, self._captured = inputs, captured
        device = next(_tensors(inputs)).device.type
        self._autocast = dict(
            device_type=device,
            enabled=torch.is_autocast_enabled(device),
            dtype=torch.get_autocast_dtype(device),
        )

    @cached_property
    def weighings(self) -> dict[str, Weighing]:
        """All that the module weighs, by name, as in evaluation; computed again from its inputs."""
        modes = {module: module.training for module in self.module.modules()}
        self.module.eval()
        try:
            with torch.no_grad(), torch.autocast(**self._autocast):
                return {step.name: step for step in record(self.module, *self._inputs)}
        finally:
            for module, training in modes.items():
                module.training = training

    def __getitem__(self, name: str) -> Weighing:
        if name not in self.weighings:
            known = ', '.join(self.weighings) or 'none'
            raise UserError(f'layer {self.name} weighs no {name!r}; known are: {known}')
        return self.weighings[name]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what the model read."""
        maps = (x for x in _tensors(self._inputs) if x.dim() == 4)
        return self._captured.size or tuple(next(maps).shape[2:])

    @property
    def several_steps(self) -> bool:
        """Whether what a pixel attends to has itself attended before."""
        if not self.pixel_steps:
            return False
        names = list(self.weighings)
        last = self.pixel_steps[-1]
        earlier = [self[name] for name in names[: names.index(last)]]
        attentions = [step for step in earlier if isinstance(step, Attention)]
        return bool(attentions) and attentions[-1].queries == self[last].keys

    @property
    def pixel_steps(self) -> list[str]:
        """Names of the attentions whose queries are pixels."""
        return [
            name
            for name, step in self.weighings.items()
            if isinstance(step, Attention) and step.queries.kind == 'pixels'
        ]

    @property
    def channel_steps(self) -> list[str]:
        """Names of the attentions between channels."""
        return [n for n, step in self.weighings.items() if isinstance(step, ChannelAttending)]

    @torch.no_grad()
    def attention(self, x: int, y: int, step: str | None = None) -> Tensor:
        """What a pixel attends to.

        Args:
            x, y: The pixel.
            step: The weights of this attention alone. Without it, what the pixel reaches through
                all of them, for two steps of criss-cross attention the product of both.

        Returns:
            (B, heads, h, w), or (B, heads, K) where keys are no pixels, such as regions.
        """
        if not self.pixel_steps:
            raise UserError(
                f'in layer {self.name} ({type(self.module).__name__}) no pixel attends to others; '
                f'it weighs: {", ".join(self.weighings)}'
            )
        last = self[step or self.pixel_steps[-1]]
        if last.name not in self.pixel_steps:
            raise UserError(
                f'{step!r} of layer {self.name} has no pixels that ask; those that have: '
                f'{", ".join(self.pixel_steps)}'
            )
        index = last.index(*self.check_point(x, y), self.size)
        queries = torch.tensor([index], device=next(_tensors(self._inputs)).device)
        if step is None:
            steps = list(self.weighings.values())
            last, weights = path(steps[: steps.index(last) + 1], queries)
        else:
            weights = last.weights(queries)
        return last.on_pixels(weights[:, :, 0]) if last.on_map else weights[:, :, 0]

    @torch.no_grad()
    def channels(self, x: int, y: int, step: str) -> tuple[Tensor, Tensor, Tensor]:
        """Channel attention at a pixel: weights (B, C, C), values (B, C) and their sums (B, C)."""
        attending = self[step]
        if not isinstance(attending, ChannelAttending):
            raise UserError(
                f'{step!r} of layer {self.name} is no attention between channels; such are: '
                f'{", ".join(self.channel_steps) or "none"}'
            )
        y, x = self.check_point(x, y)
        height, width = attending.size
        size = self.size
        return attending.at_pixel(y * height // size[0], x * width // size[1])

    @torch.no_grad()
    def maps(self, step: str) -> Tensor:
        """Weights of queries that are no pixels (the image, regions, parts): (B, queries, h, w)."""
        attention = self[step]
        return attention.on_pixels(attention.weights()[:, 0])

    def check_point(self, x: int, y: int) -> tuple[int, int]:
        """(y, x), if the pixel is one of what the model read."""
        height, width = self.size
        if not (0 <= x < width and 0 <= y < height):
            raise UserError(
                f'point {x},{y} is outside of the {width} x {height} pixels that the model read: '
                f'x must be 0 to {width - 1}, y 0 to {height - 1}'
            )
        return y, x


def _outermost(module: nn.Module, name: str = '') -> Iterator[tuple[str, nn.Module]]:
    if can_be_asked(module):
        yield name or type(module).__name__, module
        return
    for child_name, child in module.named_children():
        yield from _outermost(child, f'{name}.{child_name}' if name else child_name)


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))


def _copy(values: Any) -> Any:
    """Copies, since the model may go on in place."""
    if isinstance(values, Tensor):
        return values.detach().clone()
    if isinstance(values, (list, tuple)):
        return type(values)(_copy(value) for value in values)
    return values
