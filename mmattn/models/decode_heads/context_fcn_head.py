"""The part that CCNet's and GCNet's heads share."""

from abc import abstractmethod

import torch
from mmseg.models.decode_heads.fcn_head import FCNHead
from torch import Tensor

from mmattn.models.decode_heads.banded_loss import BandedLoss


class ContextFCNHead(BandedLoss, FCNHead):
    """mmseg's FCN head with a context block between its two convolutions.

    Args:
        **kwargs: Arguments of mmseg's FCNHead, without num_convs.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(num_convs=2, **kwargs)

    @abstractmethod
    def context(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W)."""

    def _forward_feature(self, inputs: list[Tensor]) -> Tensor:
        x = self._transform_inputs(inputs)
        return self._after_context(x, self.context(self.convs[0](x)))

    def _after_context(self, x: Tensor, context: Tensor) -> Tensor:
        """The head's input and its context, (B, channels, H, W) -> (B, channels, H, W)."""
        feats = self.convs[1](context)
        if self.concat_input:
            feats = self.conv_cat(torch.cat([x, feats], dim=1))
        return feats
