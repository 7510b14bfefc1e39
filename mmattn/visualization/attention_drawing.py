"""How weights are drawn: over the image, as a matrix, by channel or by region."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from mmattn.visualization.figures import png

COLOURS = 'inferno'
MAX_CLASSES = 6  # in a legend
Point = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Scene:
    """An image, and what the model read of it and made of it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        pred: (H, W) predicted labels.
        classes: Names, in the order of the labels.
        palette: An RGB colour of 0 to 255 for each class.
        shape: Height and width of the image as the model read it, without padding.
        size: The same with padding, which lies on the right and below.
    """

    image: np.ndarray
    pred: np.ndarray
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    shape: tuple[int, int]
    size: tuple[int, int]

    def read_pixel(self, point: Point) -> Point:
        """The pixel that the model read for (x, y) of the image."""
        (x, y), (height, width) = point, self.image.shape[:2]
        return x * self.shape[1] // width, y * self.shape[0] // height

    def cells(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Row and column, in a map of these sizes, that each pixel of the image falls in."""
        rows, columns = (
            np.arange(pixels) * shape // pixels * cells // size
            for pixels, shape, cells, size in zip(
                self.image.shape[:2], self.shape, (height, width), self.size, strict=True
            )
        )
        return rows, columns

    def on_image(self, weights: np.ndarray) -> np.ndarray:
        """(h, w) of a map -> (H, W): each pixel has the number of the cell that it falls in."""
        rows, columns = self.cells(*weights.shape)
        return weights[rows[:, None], columns]


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture that is not drawn yet.

    Attributes:
        layer: Whose weights it shows; empty for the image itself.
        name: Of its file, without suffix: layer, step and point.
        title: One line.
        draw: Draws into the axes.
        aspect: Width by height of what is drawn.
    """

    layer: str
    name: str
    title: str
    draw: Callable[[Axes], None]
    aspect: float = 1.6

    def figure(self) -> Figure:
        # Inches; room for the colour bar on the right, the title above and the legend below.
        width = min(5.2, 5.2 * self.aspect)
        size = (width + 1.2, width / self.aspect + 1.2)
        figure = Figure(figsize=size, dpi=110, layout='constrained')
        ax = figure.add_subplot()
        self.draw(ax)
        title = f'{self.layer}: {self.title}' if self.layer else self.title
        ax.set_title(title, loc='left', fontsize=9)
        return figure

    def png(self) -> bytes:
        return png(self.figure())

    def array(self) -> np.ndarray:
        """(H, W, 3) uint8, RGB."""
        canvas = FigureCanvasAgg(self.figure())
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def overlay(
    ax: Axes,
    scene: Scene,
    weights: Tensor,
    label: str,
    point: Point | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """A map over the image, with its colour bar; a point is marked.

    Args:
        weights: (h, w).
        label: Of the colour bar.
        point: Pixel (x, y) of the image whose weights these are. With it, the legend says which
            share of the weights lies on each predicted class, and the share of the class's area.
        limits: Weights at both ends of the colours; by default 0, and what 0.1 % exceed.
    """
    values = scene.on_image(weights.float().cpu().numpy())
    low, high = limits or (min(float(values.min()), 0.0), float(np.quantile(values, 0.999)))
    norm = Normalize(low, high if high > low else low + 1)
    shown = norm(values).filled(1).clip(0, 1)
    grey = scene.image.mean(axis=2, keepdims=True).repeat(3, axis=2)
    ax.imshow(((0.35 * grey + 0.65 * scene.image) * 0.8).astype(np.uint8))
    ax.imshow(values, cmap=COLOURS, norm=norm, alpha=0.15 + 0.75 * shown**0.6)
    ax.set_axis_off()
    # Of its own, since that of the picture would be half transparent.
    solid = ScalarMappable(norm, COLOURS)
    extend = 'max' if values.max() > norm.vmax else 'neither'
    ax.figure.colorbar(solid, ax=ax, label=label, extend=extend, fraction=0.04, shrink=0.85)
    if point is not None:
        mark(ax, point)
        class_legend(ax, scene, np.clip(values, 0, None))


def prediction(ax: Axes, scene: Scene, points: Sequence[Point]) -> None:
    """The image under the colours of its predicted classes; the points are marked."""
    # Where a colour bar would stand: the image then has the size of the others.
    ax.figure.get_layout_engine().set(rect=(0, 0, 0.86, 1))
    painted = np.array(scene.palette)[scene.pred]
    ax.imshow((0.55 * scene.image + 0.45 * painted).astype(np.uint8))
    ax.set_axis_off()
    for point in points:
        mark(ax, point)
    areas = np.bincount(scene.pred.ravel(), minlength=len(scene.classes)) / scene.pred.size
    order = [k for k in np.argsort(-areas)[:MAX_CLASSES] if areas[k] > 0.005]
    _legend(ax, scene, {k: f'{100 * areas[k]:.0f} %' for k in order}, 'predicted classes, area')


def mark(ax: Axes, point: Point) -> None:
    """A cross within a ring, seen on light and on dark ground."""
    for colour, width in (('black', 3.5), ('white', 1.6)):
        ax.plot(*point, marker='o', markersize=11, mfc='none', mec=colour, mew=width)
        ax.plot(*point, marker='+', markersize=8, mec=colour, mew=width)


def class_legend(ax: Axes, scene: Scene, values: np.ndarray) -> None:
    """Below the image: predicted classes by their share of (H, W) weights, and of the area."""
    labels = scene.pred.ravel()
    shares = np.bincount(labels, values.ravel(), minlength=len(scene.classes))
    shares = shares / max(shares.sum(), 1e-12)
    areas = np.bincount(labels, minlength=len(scene.classes)) / labels.size
    order = [k for k in np.argsort(-shares)[:MAX_CLASSES] if shares[k] > 0.005]
    words = {k: f'{100 * shares[k]:.0f} % ({100 * areas[k]:.0f} %)' for k in order}
    _legend(ax, scene, words, 'weight on predicted classes (their area)')


def _legend(ax: Axes, scene: Scene, words: dict[int, str], title: str) -> None:
    ax.legend(
        handles=[
            Patch(color=np.array(scene.palette[k]) / 255, label=f'{scene.classes[k]} {text}')
            for k, text in words.items()
        ],
        title=title,
        title_fontsize=8,
        fontsize=8,
        ncols=3,
        loc='upper center',
        bbox_to_anchor=(0.5, -0.02),
        frameon=False,
        handlelength=1,
    )


def matrix(ax: Axes, weights: Tensor, x_label: str, y_label: str, label: str) -> None:
    """(rows, columns) of weights, and their colour bar."""
    image = ax.imshow(
        weights.float().cpu().numpy(), cmap=COLOURS, aspect='auto', interpolation='nearest'
    )
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.figure.colorbar(image, ax=ax, label=label, fraction=0.04)


def lines(ax: Axes, values: dict[str, Tensor], x_label: str, y_label: str) -> None:
    """A number for each channel, (C,), of one or more kinds."""
    for name, numbers in values.items():
        numbers = numbers.float().cpu().numpy()
        (dots,) = ax.plot(numbers, '.', markersize=3.5, alpha=0.8, label=name)
        ax.axhline(numbers.mean(), color=dots.get_color(), linewidth=0.8)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.spines[['top', 'right']].set_visible(False)
    if len(values) > 1:
        ax.legend(
            fontsize=8, frameon=False, loc='upper center', bbox_to_anchor=(0.5, -0.15), ncols=3
        )


def bars(ax: Axes, values: Tensor, names: Sequence[str]) -> None:
    """A weight for each region, largest first."""
    numbers = values.float().cpu().numpy()
    order = np.argsort(-numbers)[:20]
    ax.barh(range(len(order)), numbers[order], color='#0072B2')
    ax.set_yticks(range(len(order)), [names[k] for k in order], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel('weight')
    ax.spines[['top', 'right']].set_visible(False)
