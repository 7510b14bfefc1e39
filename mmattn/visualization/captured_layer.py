"""What one attention module weighs, asked of it after it ran."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from mmattn.attention.attending import Attention, ChannelAttending, path
from mmattn.attention.weighing import Weighing, record
from mmattn.errors import UserError


class CapturedLayer:
    """One attention module and the inputs that it had.

    Points are pixels (x, y) of what the model read; each stands for the pixel of the module's map
    that it falls in.

    Args:
        name: As in ``named_modules``.
        module: Its forward takes ``weigh``.
        inputs: Of the forward, by position.
        named: Of the forward, by name, without ``weigh``.
        read_size: Height and width of what the model read, None where that is not known.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        inputs: tuple,
        named: dict[str, Any],
        read_size: Callable[[], tuple[int, int] | None],
    ) -> None:
        self.name, self.module = name, module
        self._inputs, self._named, self._read_size = inputs, named, read_size
        device = next(self._tensors()).device.type
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
                steps = record(self.module, *self._inputs, **self._named)
                return {step.name: step for step in steps}
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
        maps = (x for x in self._tensors() if x.dim() == 4)
        return self._read_size() or tuple(next(maps).shape[2:])

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
                f'it weighs: {", ".join(self.weighings) or "nothing"}'
            )
        last = self[step or self.pixel_steps[-1]]
        if last.name not in self.pixel_steps:
            raise UserError(
                f'{step!r} of layer {self.name} has no pixels that ask; those that have: '
                f'{", ".join(self.pixel_steps)}'
            )
        index = last.index(*self.check_point(x, y), self.size)
        queries = torch.tensor([index], device=next(self._tensors()).device)
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

    def _tensors(self) -> Iterator[Tensor]:
        return tensors_of([self._inputs, self._named])

    def check_point(self, x: int, y: int) -> tuple[int, int]:
        """(y, x), if the pixel is one of what the model read."""
        height, width = self.size
        if not (0 <= x < width and 0 <= y < height):
            raise UserError(
                f'point {x},{y} is outside of the {width} x {height} pixels that the model read: '
                f'x must be 0 to {width - 1}, y 0 to {height - 1}'
            )
        return y, x


def tensors_of(values: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from tensors_of(value)
    elif isinstance(values, dict):
        yield from tensors_of(list(values.values()))
