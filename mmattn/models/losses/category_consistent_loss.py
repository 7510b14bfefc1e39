"""Category consistent loss of CCNet's journal version (https://arxiv.org/abs/1811.11721v2)."""

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F


@MODELS.register_module()
class CategoryConsistentLoss(nn.Module):
    """Features of one category near each other, the categories' means apart (section 3.4).

    With h_i a pixel's feature and m_c the mean feature of category c over the batch:

    - variance: the mean over the categories of the mean over their pixels of phi(|m_c - h_i|), phi
      being 0 up to delta_v, ``(d - delta_v)**2`` up to delta_d, and ``d - delta_d + (delta_d -
      delta_v)**2`` beyond: linear, so that pixels far off do not upset the training;
    - distance: the mean over the pairs of categories of ``max(0, 2 * delta_d - |m_a - m_b|)**2``;
    - regularisation: the mean of |m_c|.

    It is computed in float32 at least.

    Args:
        delta_v: Distance to its mean up to which a pixel is near enough.
        delta_d: Half the distance from which on two means are apart.
        var_weight, dis_weight, reg_weight: Weights of the three terms; the defaults are the
            paper's, as the margins are.

    Raises:
        ValueError: ``delta_d`` is not above ``delta_v``, or that is negative.
    """

    def __init__(
        self,
        delta_v: float = 0.5,
        delta_d: float = 1.5,
        var_weight: float = 1.0,
        dis_weight: float = 1.0,
        reg_weight: float = 0.001,
    ) -> None:
        super().__init__()
        if not 0 <= delta_v < delta_d:
            raise ValueError(
                f'delta_d must be above delta_v, which is 0 or more; got {delta_d} and {delta_v}'
            )
        self.delta_v = delta_v
        self.delta_d = delta_d
        self.weights = {'var': var_weight, 'dis': dis_weight, 'reg': reg_weight}

    def forward(self, feats: Tensor, labels: Tensor, ignore_index: int = 255) -> dict[str, Tensor]:
        """The weighted terms ``loss_var``, ``loss_dis`` and ``loss_reg``, each of shape ().

        Args:
            feats: Shape (B, C, H, W).
            labels: Shape (B, 1, H', W'); brought to H x W by the nearest pixel.
            ignore_index: Label of the pixels that do not count.
        """
        with torch.autocast(feats.device.type, enabled=False):
            terms = self._terms(*_pixels(feats, labels, ignore_index))
        return {f'loss_{name}': self.weights[name] * term for name, term in terms.items()}

    def _terms(self, pixels: Tensor, categories: Tensor) -> dict[str, Tensor]:
        """(N, C) features and (N,) categories -> the three terms."""
        if not len(pixels):
            return dict.fromkeys(self.weights, pixels.sum())  # 0, with a gradient
        _, index, counts = categories.unique(return_inverse=True, return_counts=True)
        sums = pixels.new_zeros(len(counts), pixels.shape[1]).index_add(0, index, pixels)
        means = sums / counts.unsqueeze(1)
        far = self._far((means[index] - pixels).norm(dim=1))
        spread = far.new_zeros(len(counts)).index_add(0, index, far) / counts
        return {
            'var': spread.mean(),
            'dis': self._closeness(means),
            'reg': means.norm(dim=1).mean(),
        }

    def _far(self, distance: Tensor) -> Tensor:
        near = (distance.clamp(max=self.delta_d) - self.delta_v).clamp(min=0).square()
        return near + (distance - self.delta_d).clamp(min=0)

    def _closeness(self, means: Tensor) -> Tensor:
        pairs = torch.combinations(torch.arange(len(means), device=means.device))
        if not len(pairs):
            return 0 * means.sum()
        first, second = means[pairs].unbind(1)
        return (2 * self.delta_d - (first - second).norm(dim=1)).clamp(min=0).square().mean()


def _pixels(feats: Tensor, labels: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """The pixels that count: (N, C) features and (N,) categories."""
    labels = F.interpolate(labels.float(), feats.shape[2:]).long().flatten()
    wide = torch.promote_types(feats.dtype, torch.float32)
    pixels = feats.to(wide).permute(0, 2, 3, 1).flatten(0, 2)
    counted = labels != ignore_index
    return pixels[counted], labels[counted]
