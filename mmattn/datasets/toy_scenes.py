"""Little harbour-street scenes in which only the surroundings tell some classes apart.

Hulls are cars on the road and boats on the water; poles with a round crown are lamps before houses
and trees on the shore. Their looks are drawn without knowing the class, so swapping road and water
(``road_first``) changes no pixel of them: a network must look around to name them. NumPy and OpenCV
only; every random number is a plain uniform draw.
"""

from dataclasses import dataclass

import cv2
import numpy as np

HEIGHT, WIDTH = 128, 256
CLASSES = ('sky', 'building', 'road', 'water', 'car', 'boat', 'lamp', 'tree')
SKY, BUILDING, ROAD, WATER, CAR, BOAT, LAMP, TREE = range(len(CLASSES))
VOID = 255

_S = 2  # scenes are painted at this multiple of the size, then averaged down
_H, _W = HEIGHT * _S, WIDTH * _S
_INK = (38, 36, 44)
_PEN = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * _S + 1, 4 * _S + 1))  # 2 pixels around


@dataclass
class _Canvas:
    """RGB picture (H, W, 3) float32 and its label (H, W) uint8."""

    image: np.ndarray
    label: np.ndarray

    def paint(self, paint: np.ndarray, mask: np.ndarray, value: int) -> None:
        self.image[mask] = paint[mask]
        self.label[mask] = value

    def stamp(self, paint: np.ndarray, shape: np.ndarray, value: int) -> None:
        """Put a thing down with an opaque void outline, which hides the nearest surroundings."""
        outline = cv2.dilate(shape.astype(np.uint8), _PEN) > 0
        self.image[outline] = _INK
        self.label[outline] = VOID
        self.paint(paint, shape, value)


def render_scene(rng: np.random.Generator, road_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Paint one scene.

    Args:
        rng: source of all randomness.
        road_first: whether the leftmost strip of ground is road; road and water alternate.

    Returns:
        RGB image (HEIGHT, WIDTH, 3) and label (HEIGHT, WIDTH), both uint8.
    """
    horizon = int(_H * rng.uniform(0.40, 0.50))
    on_road = _strips(rng, horizon) == road_first
    canvas = _Canvas(_sky(rng, horizon), np.full((_H, _W), SKY, np.uint8))

    houses, silhouette = _houses(rng, horizon)
    canvas.paint(houses, silhouette & on_road[horizon], BUILDING)
    hedge, silhouette = _hedge(rng, horizon)
    canvas.paint(hedge, silhouette & ~on_road[horizon], TREE)
    ground = np.arange(_H)[:, None] >= horizon
    canvas.paint(_water(rng), ground & ~on_road, WATER)
    canvas.paint(_road(rng, horizon), ground & on_road, ROAD)
    strips = on_road.astype(np.uint8)
    kerb = cv2.morphologyEx(strips, cv2.MORPH_GRADIENT, np.ones((1, 7), np.uint8)) > 0
    canvas.image[kerb & ground] = (168, 160, 148)

    _add_poles(rng, canvas, horizon, on_road)
    _add_hulls(rng, canvas, horizon, on_road)
    return _photograph(rng, canvas.image), canvas.label[::_S, ::_S]


def _strips(rng: np.random.Generator, horizon: int) -> np.ndarray:
    """(H, W) bool: two or three strips towards a vanishing point; the leftmost is True."""
    cuts = [(0.35, 0.65)] if rng.random() < 0.6 else [(0.2, 0.35), (0.65, 0.8)]
    depth = np.clip((_H - np.arange(_H)) / (_H - horizon), 0, 1)[:, None]
    vanishing, narrowing = rng.uniform(0.35, 0.65) * _W, rng.uniform(0.1, 0.4)
    strips = np.zeros((_H, _W), int)
    for low, high in cuts:
        near = rng.uniform(low, high) * _W
        strips += np.arange(_W) >= near + (vanishing - near) * narrowing * depth
    return strips % 2 == 0


def _clouds(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """(H, W, 1) smooth random field around 0, within about +-0.5."""
    coarse = rng.random((rows, columns)).astype(np.float32) - 0.5
    return cv2.resize(coarse, (_W, _H), interpolation=cv2.INTER_CUBIC)[..., None]


def _between(rng: np.random.Generator, low: tuple, high: tuple) -> np.ndarray:
    """A colour on the way from ``low`` to ``high``."""
    return np.float32(low) + (np.float32(high) - np.float32(low)) * np.float32(rng.random())


def _sky(rng: np.random.Generator, horizon: int) -> np.ndarray:
    top = _between(rng, (70, 120, 190), (150, 160, 175))
    bottom = _between(rng, (190, 215, 235), (250, 205, 165))
    height = np.clip(np.arange(_H) / horizon, 0, 1).astype(np.float32)[:, None, None]
    return top + (bottom - top) * height + 70 * np.maximum(_clouds(rng, 7, 5), 0)


def _houses(rng: np.random.Generator, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """A row of houses with windows along the whole horizon: paint and silhouette."""
    paint, silhouette = np.zeros((_H, _W, 3), np.float32), np.zeros((_H, _W), bool)
    left = 0
    while left < _W:
        right = left + int(rng.uniform(28, 70))
        top = int(horizon * rng.uniform(0.12, 0.65))
        wall = _between(rng, (150, 90, 75), (205, 190, 160)) * np.float32(rng.uniform(0.75, 1.05))
        window = _between(rng, (60, 70, 90), (235, 215, 150))
        paint[top:horizon, left:right] = wall
        paint[top : top + 6, left:right] = 0.6 * wall
        for y in range(top + 12, horizon - 12, 18):
            for x in range(left + 5, right - 9, 13):
                paint[y : y + 10, x : x + 7] = window
        silhouette[top:horizon, left:right] = True
        left = right
    return paint, silhouette


def _hedge(rng: np.random.Generator, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The far shore, a bumpy green strip along the whole horizon: paint and silhouette."""
    top = horizon - 14 - 22 * _clouds(rng, 1, 24)[0, :, 0]
    leaves = _between(rng, (60, 105, 50), (95, 120, 55)) * (1 + 0.7 * _clouds(rng, 64, 128))
    y = np.arange(_H)[:, None]
    return leaves, (y >= top) & (y < horizon)


def _water(rng: np.random.Generator) -> np.ndarray:
    tint = _between(rng, (60, 105, 140), (95, 135, 140))
    return tint * (1 + 0.35 * _clouds(rng, 70, 24) + 0.3 * _clouds(rng, 6, 6))


def _road(rng: np.random.Generator, horizon: int) -> np.ndarray:
    tint = _between(rng, (88, 86, 90), (128, 122, 116))
    paint = tint * (1 + 0.15 * _clouds(rng, 12, 16) + 0.15 * _clouds(rng, 128, 256))
    centre = rng.uniform(0.4, 0.6) * _W
    for lane in np.arange(-0.4, 1.5, 0.27) * _W:
        for start in np.arange(0, 1, 0.22):  # dashes that draw together with distance
            ends = [
                (
                    int(centre + (lane - centre) * (0.55 + 0.45 * t)),
                    int(horizon + (_H - horizon) * t),
                )
                for t in (start, start + 0.09)
            ]
            cv2.line(paint, *ends, (205, 203, 190), int(2 + 3 * start))
    return paint


def _add_poles(
    rng: np.random.Generator, canvas: _Canvas, horizon: int, on_road: np.ndarray
) -> None:
    """Poles with a round crown along the horizon: lamps at the road, trees at the water."""
    for _ in range(9):
        x, foot = int(rng.uniform(0, _W)), horizon + int(rng.uniform(0, 8))
        height, radius = int(rng.uniform(0.5, 0.9) * horizon), int(rng.uniform(15, 25))
        crown = (x, foot - height + radius)
        shine = (x - radius // 3, crown[1] - radius // 3)
        leaves = 1 + 0.35 * _clouds(rng, 50, 100)
        paint = _between(rng, (225, 190, 90), (165, 150, 60)) * leaves
        shape = np.zeros((_H, _W), np.uint8)
        cv2.line(shape, (x, foot), crown, 1, 6)
        cv2.circle(shape, crown, radius, 2, -1)
        paint[shape == 1] = (96, 84, 72)
        cv2.circle(paint, shine, radius // 4, (245, 228, 165), -1)

        around = on_road[horizon, max(x - 2 * radius, 0) : x + 2 * radius]
        free = (canvas.label[shape > 0] != VOID).all()
        if around.min() == around.max() and free:
            canvas.stamp(paint, shape > 0, LAMP if around[0] else TREE)


def _add_hulls(
    rng: np.random.Generator, canvas: _Canvas, horizon: int, on_road: np.ndarray
) -> None:
    """Hulls with a cabin, from far to near: cars where they stand on road, boats on water."""
    for foot in np.sort(rng.uniform(horizon + 14, _H - 4, 10)).astype(int):
        nearness = (foot - horizon) / (_H - horizon)
        x, size = rng.uniform(0, _W), (34 + 62 * nearness) * rng.uniform(0.8, 1.2)
        paint, shape = _hull(rng, x, foot, size)
        left, right = max(int(x - 0.65 * size), 0), int(x + 0.65 * size)
        under = on_road[foot - int(0.2 * size) : foot + 4, left:right]
        hides_others = np.isin(canvas.label[shape], (CAR, BOAT, VOID)).mean() > 0.4
        if under.min() == under.max() and not hides_others:
            canvas.stamp(paint, shape, CAR if under[0, 0] else BOAT)


def _hull(
    rng: np.random.Generator, x: float, foot: int, size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Paint and silhouette of a hull ``size`` wide that stands at ``(x, foot)``."""
    hsv = [rng.uniform(0, 180), rng.uniform(90, 220), rng.uniform(150, 240)]
    body = cv2.cvtColor(np.uint8([[hsv]]), cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)
    cabin = 0.45 * body + 0.55 * _between(rng, (240, 235, 225), (200, 205, 215))
    facing = 1 if rng.random() < 0.5 else -1
    roof, slope = rng.uniform(0.50, 0.60), rng.uniform(0.04, 0.12)
    paint, silhouette = np.zeros((_H, _W, 3), np.float32), np.zeros((_H, _W), np.uint8)

    def at(u: float, v: float) -> tuple[int, int]:
        return int(x + facing * u * size), int(foot - v * size)

    def polygon(*corners: tuple[float, float]) -> list[np.ndarray]:
        return [np.int32([at(u, v) for u, v in corners])]

    hull = polygon((-0.44, 0.0), (0.40, 0.0), (0.52, 0.27), (0.30, 0.30), (-0.48, 0.30))
    house = polygon((-0.34, 0.29), (0.22, 0.29), (0.22 - slope, roof), (-0.34 + slope, roof))
    sill, lintel = 0.33, roof - 0.06
    cv2.fillPoly(paint, house, cabin.tolist())
    for u, w in ((-0.24, -0.09), (-0.03, 0.12)):
        cv2.fillPoly(paint, polygon((u, sill), (w, sill), (w, lintel), (u, lintel)), (62, 78, 96))
    cv2.fillPoly(paint, hull, body.tolist())
    stripe = polygon((-0.47, 0.22), (0.49, 0.22), (0.47, 0.17), (-0.46, 0.17))
    cv2.fillPoly(paint, stripe, (0.65 * body).tolist())
    for u in (-0.24, 0.24):  # wheels of a car, fenders of a boat
        cv2.circle(paint, at(u, 0.09), int(0.10 * size), (44, 44, 48), -1)
        cv2.circle(paint, at(u, 0.09), int(0.045 * size), (150, 150, 152), -1)
    for part in (hull, house):
        cv2.fillPoly(silhouette, part, 1)
    return paint, silhouette > 0


def _photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Average down to (HEIGHT, WIDTH, 3) uint8 under uneven light, with a colour cast and grain."""
    light = rng.uniform(0.65, 1.1) * (1 + 0.3 * _clouds(rng, 2, 3)) * rng.uniform(0.93, 1.07, 3)
    lit = (image * light).astype(np.float32)
    small = cv2.resize(lit, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    grain = 22 * (rng.random(small.shape) + rng.random(small.shape) - 1)
    return np.clip(small + grain, 0, 255).astype(np.uint8)
