"""What the table of all mechanisms says about them that no code knows."""

from typing import NamedTuple


class Fact(NamedTuple):
    """What cannot be read off a module.

    Attributes:
        kind: What its attention is over.
        source: The implementation whose numbers it gives, outputs and input gradients; where that
            takes an option, with it.
        places: Where it plugs in besides the places that all of its kind have.
        left_out: A form in circulation that differs from the paper and is not offered; the module's
            docstring says how it differs.
    """

    kind: str
    source: str
    places: str = ''
    left_out: str = ''


_EXTERNAL = 'xmu-xiaoma666/External-Attention-pytorch'
_ARTICLE = 'a listing in an overview article'
FACTS = {
    'AFF': Fact('fusion', 'YimianDai/open-aff, as `gain=2`'),
    'AFNB': Fact('self', 'MendelXu/ANN', '`ANLHead`'),
    'APNB': Fact('self', 'MendelXu/ANN', '`ANLHead`'),
    'BAM': Fact('hybrid', f"{_EXTERNAL}; Jongchan/attention-module, as `fusion='product'`"),
    'CBAM': Fact('hybrid', 'Jongchan/attention-module'),
    'CIAU': Fact('channel', 'blue-blue272/ImgReID-IAnet'),
    'CSE': Fact('channel', 'ai-med/squeeze_and_excitation, inside SCSE'),
    'ChannelAttention': Fact('self', 'junfu1115/DANet', '`DANetHead`'),
    'CoordinateAttention': Fact('hybrid', 'houqb/CoordAttention'),
    'CrissCross': Fact('self', 'speedinghzl/CCNet', '`CCNetHead`'),
    'DoubleAttention': Fact(
        'self',
        f"{_ARTICLE}, as `distribution='positions'`",
        left_out='MendelXu/ANN, which multiplies by G^T',
    ),
    'ECA': Fact('channel', 'BangguWu/ECANet'),
    'FCA': Fact('frequency', 'cfzd/FcaNet'),
    'FullyAttentional': Fact('self', 'Ilareina/FullyAttentional', '`FLAHead`'),
    'GAM': Fact('hybrid', f'{_ARTICLE}, as `channel_sigmoid=False`'),
    'GSoP': Fact(
        'second-order',
        'ZilinGao/Global-Second-order-Pooling-Convolutional-Networks; its spatial form as '
        '`released_centring=True`',
    ),
    'GatherExcite': Fact(
        'hybrid', 'huggingface/pytorch-image-models', left_out='its padded global convolution'
    ),
    'GlobalContext': Fact('self', 'open-mmlab/mmcv, xvjiarui/GCNet', '`GCNetHead`'),
    'IAFF': Fact('fusion', 'YimianDai/open-aff, its MXNet form', left_out='its PyTorch form'),
    'InterlacedSparse': Fact('self', 'openseg-group/openseg.pytorch'),
    'MSCAM': Fact('hybrid', 'YimianDai/open-aff'),
    'MultiHeadSelfAttention': Fact('self', 'torch.nn.MultiheadAttention'),
    'NonLocal': Fact('self', 'open-mmlab/mmcv, as `use_scale=True, norm_cfg=None`'),
    'ObjectContext': Fact('category', 'HRNet/HRNet-Semantic-Segmentation, its regions given'),
    'PolarizedSelfAttention': Fact('hybrid', _EXTERNAL, left_out='DeLightCMU/PSA'),
    'PositionAttention': Fact('self', 'junfu1115/DANet', '`DANetHead`'),
    'RGA': Fact('hybrid', 'microsoft/Relation-Aware-Global-Attention-Networks'),
    'ResidualAttention': Fact(
        'hybrid',
        'tengshaofeng/ResidualAttentionNetwork-pytorch, its stage with the skips of the paper',
        left_out='its stages with more',
    ),
    'SCSE': Fact(
        'hybrid',
        "ai-med/squeeze_and_excitation, as `fusion='max'`",
        left_out='listings with a spatial gate for each channel',
    ),
    'SE': Fact('channel', f'{_ARTICLE}; implus/PytorchInsight, as `bias=True`'),
    'SGE': Fact('spatial', 'implus/PytorchInsight'),
    'SIAU': Fact('spatial', 'blue-blue272/ImgReID-IAnet', left_out='its earlier `IABlock2D`'),
    'SKConv': Fact('channel', f'{_ARTICLE}; {_EXTERNAL}, its squeeze given', '`conv2`'),
    'SPA': Fact('channel', _ARTICLE),
    'SSE': Fact('spatial', 'ai-med/squeeze_and_excitation, inside SCSE'),
    'ShuffleAttention': Fact('hybrid', 'wofmanaf/SA-Net'),
}
