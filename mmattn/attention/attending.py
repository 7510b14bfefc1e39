"""Attention as weighings: each query sums the values of keys."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mmattn.attention.functional import dot_product_attention, in_float32, multi_head_attention
from mmattn.attention.weighing import Weighing


class Layout(NamedTuple):
    """What queries or keys are.

    Attributes:
        kind: 'pixels', 'channels', 'image' (one query for all of it), 'regions', 'anchors', ...
        size: (H, W) of pixels, else their number, (K,).
    """

    kind: str
    size: tuple[int, ...]

    @property
    def count(self) -> int:
        return math.prod(self.size)


def pixels(size: tuple[int, ...]) -> Layout:
    """The pixels of a map."""
    return Layout('pixels', tuple(size))


IMAGE = Layout('image', (1,))


class Attention(Weighing):
    """Each query sums the values of the keys, ``sum_k weights[q, k] * values[k]``.

    Attributes:
        queries, keys: What they are.
        normalised: Whether the weights of a query sum to 1.
    """

    queries: Layout
    keys: Layout
    normalised: bool = True

    def weights(self, queries: Tensor | None = None) -> Tensor:
        """(P,) numbers of queries, all where none are named -> (B, heads, P, keys)."""
        raise NotImplementedError

    def index(self, y: int, x: int, size: tuple[int, int]) -> int:
        """The query of pixel (y, x) of a map of the given size, where queries are pixels."""
        height, width = self.queries.size
        return y * height // size[0] * width + x * width // size[1]

    @property
    def on_map(self) -> bool:
        """Whether `on_pixels` can draw the weights of the keys."""
        return self.keys.kind in ('pixels', 'anchors', 'references')

    def on_pixels(self, weights: Tensor) -> Tensor:
        """Weights of keys as maps: (..., keys) -> (..., H, W), where keys lie on pixels."""
        return weights.unflatten(-1, self.keys.size)


class DotProduct(Attention):
    """``softmax(scale * query^T key) value`` between maps.

    Args:
        query: (B, Cq, *S).
        key: (B, Cq, *T).
        value: (B, C, *T).
        scale: Factor on the scores.
        keys: What the keys are; the pixels of a map by default.
    """

    def __init__(
        self,
        name: str,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float = 1.0,
        keys: Layout | None = None,
    ) -> None:
        self.name, self.query, self.key, self.value = name, query, key, value
        self.scale = scale
        self.queries = pixels(query.shape[2:])
        self.keys = pixels(key.shape[2:]) if keys is None else keys

    def compute(self) -> Tensor:
        return dot_product_attention(self.query, self.key, self.value, self.scale)

    def weights(self, queries: Tensor | None = None) -> Tensor:
        query = self.query.flatten(2)
        query = query if queries is None else query[:, :, queries]
        return in_float32(self.pairs, query, self.key.flatten(2)).unsqueeze(1)

    def pairs(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, Cq, P), (B, Cq, K) -> (B, P, K)."""
        return torch.matmul(self.scale * query.transpose(1, 2), key).softmax(dim=2)

    def explicit(self) -> Tensor:
        weights = self.weights().squeeze(1).to(self.value.dtype)
        out = torch.matmul(self.value.flatten(2), weights.transpose(1, 2))
        return out.unflatten(2, self.query.shape[2:])


class Heads(Attention):
    """Scaled dot-product attention of all pixels in several heads.

    Args:
        query, key, value: (B, heads, H * W, D).
        scale: Factor on the scores.
        size: (H, W).
    """

    def __init__(
        self, name: str, query: Tensor, key: Tensor, value: Tensor, scale: float, size: torch.Size
    ) -> None:
        self.name, self.query, self.key, self.value = name, query, key, value
        self.scale = scale
        self.queries = self.keys = pixels(size)

    def compute(self) -> Tensor:
        return multi_head_attention(self.query, self.key, self.value, self.scale)

    def weights(self, queries: Tensor | None = None) -> Tensor:
        query = self.query if queries is None else self.query[:, :, queries]
        return in_float32(
            lambda q, k: torch.matmul(self.scale * q, k.transpose(2, 3)).softmax(dim=3),
            query,
            self.key,
        )

    def explicit(self) -> Tensor:
        return torch.matmul(self.weights().to(self.value.dtype), self.value)


@dataclass(eq=False)
class Mixing(Attention):
    """Weights that are small enough to be stored, times values.

    Attributes:
        matrix: (B, Q, K).
        values: (B, K, D); the sum is (B, Q, D).
    """

    name: str
    matrix: Tensor
    values: Tensor
    queries: Layout
    keys: Layout
    normalised: bool = True

    def compute(self) -> Tensor:
        return torch.matmul(self.matrix, self.values)

    def weights(self, queries: Tensor | None = None) -> Tensor:
        matrix = self.matrix if queries is None else self.matrix[:, queries]
        return matrix.unsqueeze(1)


class Pooling(Mixing):
    """As `Mixing`, the channels first: values are (B, D, K) and the sum is (B, D, Q)."""

    def compute(self) -> Tensor:
        return torch.matmul(self.values, self.matrix.transpose(1, 2))


class ChannelAttending(Attention):
    """Channels attend to channels: queries and keys are channels, and their features pixels.

    Attributes:
        size: (H, W) of these pixels.
    """

    size: tuple[int, int]

    def at_pixel(self, y: int, x: int) -> tuple[Tensor, Tensor, Tensor]:
        """What happens at a pixel: weights (B, C, C), values (B, C) and their sums (B, C)."""
        raise NotImplementedError


class ChannelMixing(Mixing, ChannelAttending):
    """Channel attention with one map of weights for the image.

    Args:
        matrix: (B, C, C).
        values: (B, C, H * W).
        size: (H, W).
    """

    def __init__(self, name: str, matrix: Tensor, values: Tensor, size: torch.Size) -> None:
        channels = Layout('channels', (matrix.shape[1],))
        super().__init__(name, matrix, values, channels, channels)
        self.size = size

    def at_pixel(self, y: int, x: int) -> tuple[Tensor, Tensor, Tensor]:
        values = self.values.unflatten(2, self.size)[:, :, y, x]
        return self.matrix, values, torch.matmul(self.matrix, values.unsqueeze(2)).squeeze(2)


def path(weighings: list[Weighing], queries: Tensor) -> tuple[Attention, Tensor]:
    """What queries reach through the last attention and those before it.

    Where the keys of an attention are the queries of the one before it (two steps of criss-cross
    attention; pixels that attend to regions, which are made of pixels), the weights are multiplied:
    each key stands for what it has itself gathered. Residuals and layers between are left out.

    Args:
        weighings: Of one module, in order; gates are skipped.
        queries: (P,) numbers of queries of the last attention.

    Returns:
        The first attention of the path, and the weights of its keys: (B, heads, P, keys).
    """
    last, *earlier = [step for step in reversed(weighings) if isinstance(step, Attention)]
    weights = last.weights(queries)
    for step in earlier:
        if step.queries != last.keys:
            break
        reached = weights.flatten(0, 2).ne(0).any(dim=0).nonzero().squeeze(1)
        weights = torch.matmul(weights[..., reached], step.weights(reached).to(weights.dtype))
        last = step
    return last, weights
