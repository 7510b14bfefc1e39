"""Attention mechanisms as plain ``torch.nn.Module``s. They need torch alone.

All of them also take ``device`` and ``dtype``, by name, as the modules of torch do.
"""

from mmattn.attention.asymmetric import AFNB, APNB, AsymmetricNonLocal
from mmattn.attention.attentional_fusion import AFF, IAFF, MSCAM
from mmattn.attention.bam import BAM
from mmattn.attention.cbam import CBAM
from mmattn.attention.coordinate_attention import CoordinateAttention
from mmattn.attention.criss_cross import CrissCross
from mmattn.attention.double_attention import DoubleAttention
from mmattn.attention.dual import ChannelAttention, PositionAttention
from mmattn.attention.efficient_channel import ECA
from mmattn.attention.frequency_channel import FCA
from mmattn.attention.fully_attentional import FullyAttentional
from mmattn.attention.gather_excite import GatherExcite
from mmattn.attention.global_attention import GAM
from mmattn.attention.global_context import GlobalContext
from mmattn.attention.interaction_aggregation import CIAU, SIAU
from mmattn.attention.interlaced import InterlacedSparse
from mmattn.attention.non_local import NonLocal
from mmattn.attention.object_context import ObjectAttention, ObjectContext, SpatialGather
from mmattn.attention.placing import takes_device_and_dtype
from mmattn.attention.polarized import PolarizedSelfAttention
from mmattn.attention.relation_aware import RGA
from mmattn.attention.residual_attention import ResidualAttention
from mmattn.attention.scse import CSE, SCSE, SSE
from mmattn.attention.second_order import GSoP
from mmattn.attention.selective_kernel import SKConv
from mmattn.attention.self_attention import MultiHeadSelfAttention
from mmattn.attention.shuffle_attention import ShuffleAttention
from mmattn.attention.spatial_group_enhance import SGE
from mmattn.attention.spatial_pyramid import SPA
from mmattn.attention.squeeze_excitation import SE

__all__ = [
    'AFF',
    'AFNB',
    'APNB',
    'AsymmetricNonLocal',
    'BAM',
    'CBAM',
    'CIAU',
    'CSE',
    'ChannelAttention',
    'CoordinateAttention',
    'CrissCross',
    'DoubleAttention',
    'ECA',
    'FCA',
    'FullyAttentional',
    'GAM',
    'GSoP',
    'GatherExcite',
    'GlobalContext',
    'IAFF',
    'InterlacedSparse',
    'MSCAM',
    'MultiHeadSelfAttention',
    'NonLocal',
    'ObjectAttention',
    'ObjectContext',
    'PolarizedSelfAttention',
    'PositionAttention',
    'RGA',
    'ResidualAttention',
    'SCSE',
    'SE',
    'SGE',
    'SIAU',
    'SKConv',
    'SPA',
    'SSE',
    'ShuffleAttention',
    'SpatialGather',
]

for _name in __all__:
    if '__init__' in vars(globals()[_name]):  # else it is that of another mechanism, or torch's
        takes_device_and_dtype(globals()[_name])
