"""Global second-order pooling (GSoP-Net, https://arxiv.org/abs/1811.12006)."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention.functional import in_float32
from mmattn.attention.layers import BN, RELU, ConvNormAct, LayerCfg, require_positive
from mmattn.attention.norms import build_norm, run_layer
from mmattn.attention.weighing import Gate, Weigh, compute

_MODES = ('channel', 'spatial', 'both')


class GSoP(nn.Module):
    """Global second-order pooling block, section 3 of the paper.

    - 'channel': ``y = x * sigmoid(W rows(cov(relu(bn(R relu(x))))))``, cov being the covariance of
      the reduced channels over the image, and rows one convolution for each row of it.
    - 'spatial': ``y = relu(x * p)``, p in the same way from the covariance of the cells of a grid
      over the reduced channels. As in the authors' code, it has no ReLU before cov, but one after
      rows and one after the product.
    - 'both': their sum.

    The cells are averages over the map, and p is brought back to H x W by adaptive average pooling
    (the nearest cell, where the grid divides the map): any size of map serves, larger maps have
    larger cells.

    Cost: B * channels**2 * H * W multiply-adds for the covariance; 4 * channels * (channels + C)
    parameters for its gate. Spatial: 8 * grid**4 parameters.

    Args:
        in_channels: Channels of the input.
        mode: 'channel', 'spatial' or 'both'.
        channels: Reduced channels.
        stride: Of R in the channel form. The authors have 2 in the first stage, to save time.
        grid: Rows and columns of the grid of the spatial form.
        released_centring: Centre the covariance of the cells as the authors' code does, with the
            number of cells in the place of the number of channels; for their checkpoints.
        norm_cfg: Normalisation of R and of the rows of the covariance, as in mmcv.

    Raises:
        ValueError: Unknown mode; channels, stride or grid below 1.
    """

    def __init__(
        self,
        in_channels: int,
        mode: str = 'channel',
        channels: int = 128,
        stride: int = 1,
        grid: int = 8,
        released_centring: bool = False,
        norm_cfg: LayerCfg = BN,
    ) -> None:
        super().__init__()
        if mode not in _MODES:
            raise ValueError(f'mode must be one of {_MODES}, got {mode!r}')
        require_positive(channels=channels, stride=stride, grid=grid)
        self.mode = mode
        self.grid = grid
        self.samples = grid**2 if released_centring else channels
        if mode != 'spatial':
            self.channel_reduce = ConvNormAct(
                in_channels, channels, 1, norm_cfg, RELU, stride=stride
            )
            self.channel_gate = _CovarianceGate(channels, in_channels, norm_cfg, nn.Identity())
        if mode != 'channel':
            self.spatial_reduce = ConvNormAct(in_channels, channels, 1, norm_cfg)
            self.spatial_gate = _CovarianceGate(grid**2, grid**2, norm_cfg, nn.ReLU(inplace=True))

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if self.mode == 'channel':
            return self._channel(x, weigh)
        if self.mode == 'spatial':
            return self._spatial(x, weigh)
        return self._channel(x, weigh) + self._spatial(x, weigh)

    def _channel(self, x: Tensor, weigh: Weigh) -> Tensor:
        reduced = self.channel_reduce(x.relu()).flatten(2)
        return weigh(Gate('channels', self.channel_gate(reduced, reduced.shape[2]), x))

    def _spatial(self, x: Tensor, weigh: Weigh) -> Tensor:
        cells = F.adaptive_avg_pool2d(self.spatial_reduce(x.relu()), self.grid)
        gate = self.spatial_gate(cells.flatten(2).transpose(1, 2), self.samples)
        gate = gate.reshape(-1, 1, self.grid, self.grid)
        return weigh(Gate('positions', F.adaptive_avg_pool2d(gate, x.shape[2:]), x)).relu()


class _CovarianceGate(nn.Module):
    """Gate from a covariance, read row by row, then across rows.

    It works in fp32 under autocast: products of features leave the range of fp16.
    """

    def __init__(
        self, size: int, out_channels: int, norm_cfg: LayerCfg, activate: nn.Module
    ) -> None:
        super().__init__()
        self.norm = build_norm(norm_cfg, size)[1]
        self.rows = nn.Conv2d(size, 4 * size, (size, 1), groups=size)
        self.activate = activate
        self.project = nn.Conv2d(4 * size, out_channels, 1)
        for conv in (self.rows, self.project):
            nn.init.kaiming_normal_(conv.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, x: Tensor, samples: int) -> Tensor:
        """(B, size, S) -> (B, out_channels, 1, 1) in (0, 1)."""
        return in_float32(partial(self._gate, samples=samples), x)

    def _gate(self, x: Tensor, samples: int) -> Tensor:
        covariance = _covariance(x, samples).to(self.rows.weight.dtype)
        rows = self.rows(run_layer(self.norm, covariance.unsqueeze(3)))
        return torch.sigmoid(self.project(self.activate(rows)))


def _covariance(x: Tensor, samples: int) -> Tensor:
    """(B, N, S) -> (B, N, N), the covariance where ``samples`` is S."""
    centred = x - x.sum(dim=2, keepdim=True) / samples
    return torch.matmul(x, centred.transpose(1, 2)) / samples
