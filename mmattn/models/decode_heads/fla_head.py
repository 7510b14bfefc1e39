"""Fully attentional network (FLANet, https://arxiv.org/abs/2112.04108)."""

from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import Tensor, nn
from torch.nn import functional as F

from mmattn.attention import FullyAttentional
from mmattn.models.decode_heads.banded_loss import BandedLoss
from mmattn.models.decode_heads.layers import conv3x3, drop
from mmattn.models.mechanisms import build_mechanism


@MODELS.register_module()
class FLAHead(BandedLoss, BaseDecodeHead):
    """A fully attentional block on reduced stage-4 features, concatenated with stage 4.

    Two auxiliary outputs, on stages 2 and 3, are part of the head as in the authors' network, so
    its model needs no auxiliary_head. Each output doubles its map (nearest) before the 3x3
    convolution.

    Args:
        aux_weight: Weight of each auxiliary loss. Neither the authors' published code (a model
            without training) nor its README states one; 0.4 is what MMSegmentation's configs give
            an auxiliary head, after PSPNet (https://arxiv.org/abs/1612.01105).
        aux_channels: Hidden channels of each auxiliary output, 64 in the authors' network
            (``FLANetOutput(512, 64)`` and ``(1024, 64)``, model.py of Ilareina/FullyAttentional).
        attention: For the paper's comparisons, configs of the mechanisms that take the place of the
            attention in the block, whose 3x3 convolution stays: `ChannelAttention` is its "Channel
            NL", `PositionAttention` its "Spatial NL", both in a row are "CS NL", none is ``()``.
            None is the fully attentional block.
        parallel: Sum the mechanisms of ``attention`` instead of chaining them.
        **kwargs: Arguments of mmseg's BaseDecodeHead; ``in_channels`` and ``in_index`` name stages
            2, 3 and 4, ``channels`` is the width of the reduction (512 in the paper).

    Raises:
        ValueError: ``in_channels`` is not a triple.
        UserError: A mechanism that is unknown, joins two maps, or refuses its arguments.
    """

    def __init__(
        self,
        aux_weight: float = 0.4,
        aux_channels: int = 64,
        attention: Sequence[dict] | None = None,
        parallel: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        if len(self.in_channels) != 3:
            raise ValueError(
                'FLAHead reads stages 2, 3 and 4: in_channels must be a triple, '
                f'got {self.in_channels}'
            )
        self.aux_weight = aux_weight
        *aux_in_channels, in_channels = self.in_channels
        self.reduce = nn.Sequential(conv3x3(self, in_channels), conv3x3(self, self.channels))
        if attention is None:
            self.attention = FullyAttentional(self.channels, self.norm_cfg, self.act_cfg)
        else:
            mechanisms = [
                build_mechanism(f'attention[{i}]', cfg, self.norm_cfg, in_channels=self.channels)[1]
                for i, cfg in enumerate(attention)
            ]
            joined = _Sum(mechanisms) if parallel else nn.Sequential(*mechanisms)
            self.attention = nn.Sequential(joined, conv3x3(self, self.channels))
        self.fuse = conv3x3(self, self.channels + in_channels)
        self.aux_convs = nn.ModuleList(
            conv3x3(self, source, aux_channels) for source in aux_in_channels
        )
        self.aux_conv_segs = nn.ModuleList(
            nn.Conv2d(aux_channels, self.out_channels, 1) for _ in aux_in_channels
        )

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """Backbone features -> logits (B, out_channels, 2 * H, 2 * W)."""
        x = self._transform_inputs(inputs)[-1]
        feats = self.attention(self.reduce(x))
        return self.cls_seg(self.fuse(_double(torch.cat([x, feats], dim=1))))

    def forward_aux(self, inputs: list[Tensor]) -> list[Tensor]:
        """Backbone features -> logits of the stage-2 and of the stage-3 output."""
        *stages, _ = self._transform_inputs(inputs)
        layers = zip(stages, self.aux_convs, self.aux_conv_segs, strict=True)
        return [conv_seg(drop(self, conv(_double(x)))) for x, conv, conv_seg in layers]

    def loss(
        self, inputs: list[Tensor], batch_data_samples: SampleList, train_cfg: dict
    ) -> dict[str, Tensor]:
        """The main loss, and both auxiliary losses times ``aux_weight`` as ``aux_stage2.`` and
        ``aux_stage3.``."""
        losses = self.loss_by_feat(self.forward(inputs), batch_data_samples)
        for stage, logits in zip((2, 3), self.forward_aux(inputs), strict=True):
            aux = self.loss_by_feat(logits, batch_data_samples)
            weighted = {
                name: value * self.aux_weight if 'loss' in name else value
                for name, value in aux.items()
            }
            losses.update(add_prefix(weighted, f'aux_stage{stage}'))
        return losses


class _Sum(nn.ModuleList):
    """(B, C, H, W) -> (B, C, H, W), the sum of what its modules give."""

    def forward(self, x: Tensor) -> Tensor:
        return sum(module(x) for module in self)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode='nearest')
