"""Which pictures show what a layer weighs, by the kind of its weights."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from torch import Tensor

from mmattn.attention.attending import Attention
from mmattn.attention.weighing import Gate, Selection
from mmattn.visualization import attention_drawing as drawing
from mmattn.visualization.attention_drawing import Panel, Point, Scene
from mmattn.visualization.captured_layer import CapturedLayer

MAX_MAPS = 20  # of the regions or descriptors of one step
_EVEN = 'times an even spread'


def layer_panels(layer: CapturedLayer, scene: Scene, points: Sequence[Point]) -> list[Panel]:
    """Pictures of all that a layer weighs in the first image of the batch.

    Args:
        layer: After the model ran.
        scene: The image.
        points: Pixels (x, y) of the image; each has pictures of its own, where the pixel matters.
    """
    panels = []
    for point in points:
        panels += _of_point(layer, scene, point)
    for name, step in layer.weighings.items():
        if isinstance(step, Gate):
            panels.append(_gate(layer, name, step, scene))
        elif isinstance(step, Selection):
            panels.append(_selection(layer, name, step, scene))
        elif isinstance(step, Attention) and step.queries.kind not in ('pixels', 'channels'):
            panels += _maps(layer, name, step, scene)
    return panels


def image_panel(scene: Scene, points: Sequence[Point]) -> Panel:
    """The image and what the model made of it, with the points that ask."""
    draw = partial(drawing.prediction, scene=scene, points=points)
    return Panel('', 'image', 'prediction', draw, _aspect(scene))


def _of_point(layer: CapturedLayer, scene: Scene, point: Point) -> Iterator[Panel]:
    x, y = scene.read_pixel(point)
    steps = layer.pixel_steps
    for name in steps:
        weights = layer.attention(x, y, name)
        step = layer[name]
        if weights.dim() == 4:
            yield _overlay(layer, name, weights, scene, point, name, step.normalised)
        else:
            names = _names(step.keys.kind, weights.shape[-1], scene)
            draw = partial(drawing.bars, values=weights[0].mean(0), names=names)
            yield _panel(layer, name, f'weights on {step.keys.kind}', draw, point)
    if layer.several_steps:
        reached = layer.attention(x, y)
        yield _overlay(layer, 'all steps', reached, scene, point, 'all steps together')
    for name in layer.channel_steps:
        weights, values, sums = layer.channels(x, y, name)
        words = ('key channel', 'query channel', 'weight')
        draw = partial(drawing.matrix, weights=weights[0], **_labels(*words))
        yield _panel(layer, name, f'{name}: channels on channels', draw, point, 'weights')
        effect = {'before': values[0], 'after, summed by the weights': sums[0]}
        draw = partial(drawing.lines, values=effect, x_label='channel', y_label='value')
        yield _panel(layer, name, f'{name}: effect at the pixel', draw, point, 'effect')


def _overlay(
    layer: CapturedLayer,
    step: str,
    weights: Tensor,
    scene: Scene,
    point: Point,
    words: str,
    normalised: bool = True,
) -> Panel:
    heads = weights.shape[1]
    words += f', mean of {heads} heads' if heads > 1 else ''
    draw = _draw_map(scene, weights[0].mean(0), normalised, point)
    return _panel(layer, step, words, draw, point, aspect=_aspect(scene))


def _draw_map(
    scene: Scene, weights: Tensor, normalised: bool, point: Point | None = None
) -> Callable[[Axes], None]:
    draw = partial(drawing.overlay, scene=scene, point=point)
    if not normalised:
        return partial(draw, weights=weights, label='weight')
    weights = weights * weights.numel()
    # An even spread has the colour in the middle, whatever its noise.
    limits = (0.0, max(2.0, weights.flatten().float().quantile(0.999).item()))
    return partial(draw, weights=weights, label=_EVEN, limits=limits)


def _maps(layer: CapturedLayer, name: str, step: Attention, scene: Scene) -> Iterator[Panel]:
    if not step.on_map:  # parts on parts
        words = (step.keys.kind, step.queries.kind, 'weight')
        draw = partial(drawing.matrix, weights=step.weights()[0, 0], **_labels(*words))
        yield _panel(layer, name, f'{name}: {step.queries.kind} on {step.keys.kind}', draw)
        return
    maps = layer.maps(name)[0, :MAX_MAPS]
    names = _names(step.queries.kind, step.queries.count, scene)
    for number, weights in enumerate(maps):
        draw = _draw_map(scene, weights, step.normalised)
        title = name if step.queries.count == 1 else f'{name}: {names[number]}'
        yield _panel(layer, name, title, draw, None, str(number), aspect=_aspect(scene))


def _gate(layer: CapturedLayer, name: str, gate: Gate, scene: Scene) -> Panel:
    maps = gate.maps[0]
    channels, height, width = maps.shape
    if height > 1 and width > 1:
        draw = _draw_gate(scene, maps.mean(0), 'gate')
        words = f', mean of {channels} channels' if channels > 1 else ''
        return _panel(layer, name, f'gate of {name}{words}', draw, aspect=_aspect(scene))
    if height == width == 1:
        values = {'gate': maps[:, 0, 0]}
        draw = partial(drawing.lines, values=values, x_label='channel', y_label='gate')
    else:
        axis = 'row' if width == 1 else 'column'
        draw = partial(drawing.matrix, weights=maps.flatten(1), **_labels(axis, 'channel', 'gate'))
    return _panel(layer, name, f'gate of {name}', draw)


def _draw_gate(scene: Scene, gate: Tensor, label: str) -> Callable[[Axes], None]:
    limits = (gate.min().item(), gate.max().item())
    return partial(drawing.overlay, scene=scene, weights=gate, label=label, limits=limits)


def _selection(layer: CapturedLayer, name: str, selection: Selection, scene: Scene) -> Panel:
    weights = [weight[0] for weight in selection.weights]
    if weights[0].shape[-1] > 1:
        draw = _draw_gate(scene, weights[0].mean(0), 'share')
        title = f'share of the first of the {name}, mean of channels'
        return _panel(layer, name, title, draw, aspect=_aspect(scene))
    values = {f'branch {i + 1}': weight.flatten() for i, weight in enumerate(weights)}
    draw = partial(drawing.lines, values=values, x_label='channel', y_label='share')
    return _panel(layer, name, f'shares of the {name}', draw)


def _panel(
    layer: CapturedLayer,
    step: str,
    title: str,
    draw: Callable[[Axes], None],
    point: Point | None = None,
    part: str = '',
    aspect: float = 1.6,
) -> Panel:
    place = '' if point is None else f'{point[0]}-{point[1]}'
    name = '_'.join(
        filter(None, (layer.name, step.replace(',', '').replace(' ', '-'), part, place))
    )
    title += '' if point is None else f', from pixel {point[0]},{point[1]}'
    return Panel(layer.name, name, title, draw, aspect)


def _names(kind: str, count: int, scene: Scene) -> list[str]:
    """Names of regions, which are classes where there are as many."""
    if kind == 'regions' and count == len(scene.classes):
        return list(scene.classes)
    return [f'{kind[:-1]} {i + 1}' for i in range(count)]


def _labels(x_label: str, y_label: str, label: str) -> dict[str, str]:
    return dict(x_label=x_label, y_label=y_label, label=label)


def _aspect(scene: Scene) -> float:
    height, width = scene.image.shape[:2]
    return width / height
