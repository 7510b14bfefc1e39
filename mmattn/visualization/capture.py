"""What a model weighs, asked of its modules after it ran."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

from torch import Tensor, nn

from mmattn.attention.weighing import can_be_asked
from mmattn.errors import UserError
from mmattn.visualization.captured_layer import CapturedLayer, tensors_of


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


class CapturedAttention(Mapping[str, CapturedLayer]):
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

    def __getitem__(self, name: str) -> CapturedLayer:
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
        parameters = signature(type(module).forward)

        def keep_and_forward(*inputs, **kwargs):
            given = parameters.bind(module, *inputs, **kwargs)
            given.arguments.pop('weigh', None)
            args, named = _copy(given.args[1:]), _copy(given.kwargs)
            self._layers[name] = CapturedLayer(name, module, args, named, lambda: self.size)
            return forward(*inputs, **kwargs)

        module.forward = keep_and_forward
        if former is None:
            stack.callback(delattr, module, 'forward')
        else:
            stack.callback(setattr, module, 'forward', former)

    def _keep_size(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        maps = [x for x in tensors_of([args, kwargs]) if x.dim() == 4]
        if maps:
            self.size = tuple(maps[0].shape[2:])


def _outermost(module: nn.Module, name: str = '') -> Iterator[tuple[str, nn.Module]]:
    if can_be_asked(module):
        yield name or type(module).__name__, module
        return
    for child_name, child in module.named_children():
        yield from _outermost(child, f'{name}.{child_name}' if name else child_name)


def _copy(values: Any) -> Any:
    """Copies, since the model may go on in place."""
    if isinstance(values, Tensor):
        return values.detach().clone()
    if isinstance(values, (list, tuple)):
        return type(values)(_copy(value) for value in values)
    if isinstance(values, dict):
        return {name: _copy(value) for name, value in values.items()}
    return values
