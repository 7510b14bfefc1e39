"""Relation-aware global attention (RGA, https://arxiv.org/abs/1904.02998)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.attending import Attention, Layout
from mmattn.attention.layers import BN, RELU, ConvNormAct
from mmattn.attention.norms import NormSequential, build_norm
from mmattn.attention.weighing import Gate, Weigh, compute

_REDUCTION = 8
_MODES = {'spatial': (True, False), 'channel': (False, True), 'both': (True, True)}


class RGA(nn.Module):
    """Gates of positions and of channels, learnt from their relations to all others.

    ``x <- x * sigmoid(gate([mean of v_i, e([q_i^T k_a, q_a^T k_i for all a])]))`` with i and a
    running over the positions (section 3.2), then over the channels (section 3.3), whose features
    are their values at all positions.

    The paper's layers have as many inputs as the map has pixels, so it works at one size only. Here
    they are built for ``grid``: the references a are the cells of that grid (queries and keys
    averaged over each cell), and the channels' features are the map averaged over each cell; the
    gate itself is never resized. A map of the grid's size gives exactly the paper's module, any
    other size runs with the same weights.

    Cost: 2 * B * H * W * in_channels * grid cells / (channel_reduction * spatial_reduction)
    multiply-adds for the relations, which are never stored: embedding them is linear, so it is
    applied to the keys first. Weights grow with the grid cells.

    Args:
        in_channels: Channels of the input.
        grid: Height and width that the layers are built for; the paper takes the size of the
            training crops' feature map.
        mode: 'spatial', 'channel', or 'both' (spatial, then channel).
        channel_reduction: Divides the channels, for features of positions and relations of
            channels. This and the next two are 8 by default, and leave one channel of fewer.
        spatial_reduction: Divides the grid cells, for features of channels and relations of
            positions.
        gate_reduction: Divides the width of the hidden layer of both gates.
        norm_cfg: Normalisation of all layers.

    Raises:
        ValueError: Unknown mode, an empty grid, or a reduction that leaves no channel.
    """

    def __init__(
        self,
        in_channels: int,
        grid: Sequence[int] = (16, 16),
        mode: str = 'both',
        channel_reduction: int | None = None,
        spatial_reduction: int | None = None,
        gate_reduction: int | None = None,
        norm_cfg: dict = BN,
    ) -> None:
        super().__init__()
        if mode not in _MODES:
            raise ValueError(f'mode must be one of {tuple(_MODES)}, got {mode!r}')
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(f'grid must be a height and a width of at least 1, got {grid!r}')
        self.grid = tuple(grid)
        cells = self.grid[0] * self.grid[1]
        channels = (in_channels, _reduced('channel_reduction', in_channels, channel_reduction))
        positions = (cells, _reduced('spatial_reduction', cells, spatial_reduction))
        spatial, channel = _MODES[mode]
        self.spatial = (
            _RelationGate(channels, positions, gate_reduction, norm_cfg) if spatial else None
        )
        self.channel = (
            _RelationGate(positions, channels, gate_reduction, norm_cfg) if channel else None
        )

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if self.spatial is not None:
            x = weigh(Gate('positions', self.spatial(x, self.grid, weigh, 'pixels'), x))
        if self.channel is not None:
            features = F.adaptive_avg_pool2d(x, self.grid).flatten(2).transpose(1, 2).unsqueeze(3)
            gate = self.channel(features, features.shape[2:], weigh, 'channels')
            x = weigh(Gate('channels', gate.transpose(1, 2), x))
        return x


class _RelationGate(nn.Module):
    """A gate in (0, 1) for each node of a map, from its relations to reference nodes.

    Args:
        features: Channels of a node, and what they are reduced to.
        references: Number of references, and what a node's relations to them are reduced to.
        gate_reduction: Divides the width of the hidden layer.
        norm_cfg: Normalisation of all layers.
    """

    def __init__(
        self,
        features: tuple[int, int],
        references: tuple[int, int],
        gate_reduction: int | None,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        self.query_project = ConvNormAct(*features, 1, norm_cfg, RELU)
        self.key_project = ConvNormAct(*features, 1, norm_cfg, RELU)
        self.value_project = ConvNormAct(*features, 1, norm_cfg, RELU)
        count, channels = references
        self.relation_project = nn.Conv2d(2 * count, channels, 1, bias=False)
        self.relation_act = NormSequential(build_norm(norm_cfg, channels)[1], nn.ReLU(inplace=True))
        hidden = _reduced('gate_reduction', 1 + channels, gate_reduction)
        self.gate = nn.Sequential(
            ConvNormAct(1 + channels, hidden, 1, norm_cfg, RELU),
            ConvNormAct(hidden, 1, 1, norm_cfg),
        )

    def forward(
        self, x: Tensor, grid: Sequence[int], weigh: Weigh = compute, nodes: str = 'pixels'
    ) -> Tensor:
        """(B, features, H, W), references pooled to ``grid`` -> (B, 1, H, W)."""
        embedding = self.relation_project.weight.flatten(1)
        query, key = self.query_project(x), self.key_project(x)
        relations = weigh(Relations(nodes, query, key, embedding, grid))
        value = self.value_project(x).mean(dim=1, keepdim=True)
        return self.gate(torch.cat([value, self.relation_act(relations)], dim=1)).sigmoid()


class Relations(Attention):
    """Relations of each node to the references, times their embeddings.

    ``sum_a (q_i^T k_a) * outgoing_a + (q_a^T k_i) * incoming_a``, in the order that never forms
    the relations.

    Args:
        nodes: 'pixels' or 'channels'.
        query, key: (B, features, H, W) of the nodes; those of the references are averages of them.
        embedding: (channels, 2 * references), outgoing before incoming.
        grid: What queries and keys are averaged to.
    """

    normalised = False

    def __init__(
        self, nodes: str, query: Tensor, key: Tensor, embedding: Tensor, grid: Sequence[int]
    ) -> None:
        self.name, self.query, self.key = f'relations of {nodes}', query, key
        self.embedding, self.grid = embedding, tuple(grid)
        size = tuple(query.shape[2:])
        self.queries = Layout(nodes, size if nodes == 'pixels' else size[:1])
        # Of channels they are channels, which lie on no map.
        kind = 'references' if nodes == 'pixels' else 'channels, twice'
        self.keys = Layout(kind, (2, *self.grid))

    def compute(self) -> Tensor:
        outgoing, incoming = self.embedding.chunk(2, dim=1)
        keys, queries = (self._references(x).transpose(1, 2) for x in (self.key, self.query))
        embedded = torch.matmul(torch.matmul(outgoing, keys), self.query.flatten(2))
        embedded = embedded + torch.matmul(torch.matmul(incoming, queries), self.key.flatten(2))
        return embedded.unflatten(2, self.query.shape[2:])

    def weights(self, queries: Tensor | None = None) -> Tensor:
        """(B, 1, P, 2 * references): q_i^T k_a of each reference, then q_a^T k_i."""
        query, key = self.query.flatten(2), self.key.flatten(2)
        if queries is not None:
            query, key = query[:, :, queries], key[:, :, queries]
        pairs = (query, self._references(self.key)), (key, self._references(self.query))
        return torch.cat([torch.matmul(x.transpose(1, 2), y) for x, y in pairs], 2).unsqueeze(1)

    def explicit(self) -> Tensor:
        out = torch.matmul(self.embedding, self.weights().squeeze(1).transpose(1, 2))
        return out.unflatten(2, self.query.shape[2:])

    def on_pixels(self, weights: Tensor) -> Tensor:
        """The outgoing ones, a pixel of the map for each cell of the grid."""
        return weights.unflatten(-1, self.keys.size)[..., 0, :, :]

    def _references(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.grid).flatten(2)


def _reduced(argument: str, width: int, reduction: int | None) -> int:
    if reduction is None:
        return max(1, width // _REDUCTION)
    if not 1 <= reduction <= width:
        raise ValueError(
            f'{argument} must be between 1 and {width}, the width that it divides, got {reduction}'
        )
    return width // reduction
