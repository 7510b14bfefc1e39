"""Decode heads: each assembles modules of mmattn.attention on a head of MMSegmentation."""

from mmattn.models.decode_heads.anl_head import ANLHead
from mmattn.models.decode_heads.attention_head import AttentionHead
from mmattn.models.decode_heads.banded_fcn_head import BandedFCNHead
from mmattn.models.decode_heads.ccnet_head import CCNetHead
from mmattn.models.decode_heads.danet_head import DANetHead
from mmattn.models.decode_heads.fla_head import FLAHead
from mmattn.models.decode_heads.gcnet_head import GCNetHead
from mmattn.models.decode_heads.ground_truth_ocr_head import GroundTruthOCRHead
from mmattn.models.decode_heads.ocrnet_head import OCRNetHead

__all__ = [
    'ANLHead',
    'AttentionHead',
    'BandedFCNHead',
    'CCNetHead',
    'DANetHead',
    'FLAHead',
    'GCNetHead',
    'GroundTruthOCRHead',
    'OCRNetHead',
]
