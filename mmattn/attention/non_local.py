"""Non-local block (https://arxiv.org/abs/1711.07971)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.attending import DotProduct
from mmattn.attention.functional import dot_product_attention, in_float32
from mmattn.attention.layers import BN, ConvNormAct, LayerCfg, reduced_channels, start_at_zero
from mmattn.attention.weighing import Weigh, compute

Pairwise = Callable[[Tensor, Tensor, Tensor], Tensor]


class NonLocal(nn.Module):
    """Every pixel sums a function of all pixels (equations 1 and 6 of the paper).

    ``y = x + W(sum_j f(x_i, x_j) v(x_j) / N)``; with q, k, v 1x1 convolutions, f / N is one of

    - 'embedded_gaussian': ``softmax_j(q_i^T k_j)``
    - 'gaussian': ``softmax_j(x_i^T x_j)``
    - 'dot_product': ``q_i^T k_j / number of keys``
    - 'concatenation': ``relu(a^T q_i + b^T k_j) / number of keys``, [a, b] the paper's w_f

    W ends in a batch norm whose scale starts at 0, so the block starts as the identity.

    Cost: B * (H * W)**2 scores (a quarter with ``sub_sample``), stored only where no fused kernel
    serves; 'dot_product' has none, its products are taken as q^T (k v^T). All but
    'embedded_gaussian' sum in fp32 at least, under autocast too.

    Args:
        in_channels: Channels of the input.
        reduction: Queries, keys and values have in_channels // reduction channels.
        mode: One of the four above.
        use_scale: Divide the scores of 'embedded_gaussian' by the root of the reduced channels,
            as the authors' code and mmcv do; the paper does not.
        sub_sample: 2x2 max-pooling of keys and values (section 3.3); sides of one pixel stay.
        norm_cfg: Normalisation of W; None (mmcv's default) lets W itself start at 0.

    Raises:
        ValueError: Unknown mode, a reduction out of range, or ``use_scale`` in another mode.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 2,
        mode: str = 'embedded_gaussian',
        use_scale: bool = False,
        sub_sample: bool = False,
        norm_cfg: LayerCfg = BN,
    ) -> None:
        super().__init__()
        if mode not in _PAIRWISE:
            raise ValueError(f'mode must be one of {tuple(_PAIRWISE)}, got {mode!r}')
        if use_scale and mode != 'embedded_gaussian':
            raise ValueError(f"use_scale needs mode='embedded_gaussian', got mode={mode!r}")
        channels = reduced_channels(in_channels, reduction)
        self.mode = mode
        self.use_scale = use_scale
        pool = [_HalfSize()] if sub_sample else []
        self.query_project = nn.Sequential()
        self.key_project = nn.Sequential(*pool)
        self.value_project = nn.Sequential(nn.Conv2d(in_channels, channels, 1), *pool)
        if mode != 'gaussian':
            self.query_project.append(nn.Conv2d(in_channels, channels, 1))
            # A bias of the keys in front of a softmax over keys cancels.
            bias = mode != 'embedded_gaussian'
            self.key_project.insert(0, nn.Conv2d(in_channels, channels, 1, bias=bias))
        if mode == 'concatenation':
            self.query_project.append(nn.Conv2d(channels, 1, 1, bias=False))
            self.key_project.append(nn.Conv2d(channels, 1, 1, bias=False))
        self.out_project = ConvNormAct(channels, in_channels, 1, norm_cfg)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        start_at_zero(self.out_project)

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        query = self.query_project(x)
        if self.use_scale:
            query = query * query.shape[1] ** -0.5
        context = weigh(Pairs(query, self.key_project(x), self.value_project(x), self.mode))
        return x + self.out_project(context)


class Pairs(DotProduct):
    """A function of every pair of a query and a key, by the mode of `NonLocal`."""

    def __init__(self, query: Tensor, key: Tensor, value: Tensor, mode: str) -> None:
        super().__init__('pixels', query, key, value)
        self.mode = mode
        self.normalised = mode not in _SCORES

    def compute(self) -> Tensor:
        return _PAIRWISE[self.mode](self.query, self.key, self.value)

    def pairs(self, query: Tensor, key: Tensor) -> Tensor:
        if self.normalised:
            return super().pairs(query, key)
        return _SCORES[self.mode](query.transpose(1, 2), key) / key.shape[2]


class _HalfSize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, (min(2, x.shape[2]), min(2, x.shape[3])))


def _dot_product(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    summary = torch.matmul(value.flatten(2), key.flatten(2).transpose(1, 2))
    context = torch.matmul(summary / key.shape[2:].numel(), query.flatten(2))
    return context.unflatten(2, query.shape[2:])


def _concatenation(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = F.relu(key.flatten(2).transpose(1, 2) + query.flatten(2))
    context = torch.matmul(value.flatten(2), scores / key.shape[2:].numel())
    return context.unflatten(2, query.shape[2:])


_softmax = partial(dot_product_attention, scale=1.0)
_PAIRWISE: dict[str, Pairwise] = {
    'embedded_gaussian': _softmax,
    'gaussian': partial(in_float32, _softmax),
    'dot_product': partial(in_float32, _dot_product),
    'concatenation': partial(in_float32, _concatenation),
}
# The modes that are no softmax: (B, Q, Cq), (B, Cq, K) -> (B, Q, K), to be divided by K.
_SCORES = {'dot_product': torch.matmul, 'concatenation': lambda query, key: F.relu(query + key)}
