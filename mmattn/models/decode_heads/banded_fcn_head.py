"""mmseg's FCN head with the banded loss of our heads."""

from mmseg.models.decode_heads.fcn_head import FCNHead
from mmseg.registry import MODELS

from mmattn.models.decode_heads.banded_loss import BandedLoss


@MODELS.register_module()
class BandedFCNHead(BandedLoss, FCNHead):
    """mmseg's FCNHead, whose state dicts, outputs and losses it has: the auxiliary head of configs.

    On the CPU its cross entropy keeps no map of logits as large as the label (`BandedLoss`).
    """
