"""The one table of mechanisms: what configs name, and what documents say about it.

Importing it registers them in mmseg.registry.MODELS, so that a config names them as plugins of any
backbone of MMSegmentation, or as ``attention`` and ``fusion`` of ours. Our backbones, necks and
heads give a mechanism their own ``norm_cfg``; mmseg's backbones build plugins without it, so there
the plugin's config must name it: ``dict(type='CBAM', norm_cfg=dict(type='SyncBN'))``.
"""

import inspect
from typing import NamedTuple

from mmcv.cnn import build_plugin_layer
from mmseg.registry import MODELS
from torch import nn

from mmattn import attention
from mmattn.errors import UserError


class Source(NamedTuple):
    """Code that gives the same numbers: outputs and input gradients, which a test compares.

    Attributes:
        origin: Whose code it is, one of the four names below.
        name: Its repository.
        note: The option that is its form, where that is not the default, or what was changed in it.
    """

    origin: str
    name: str = ''
    note: str = ''


AUTHORS = "the authors' code"
LIBRARY = 'a library'
OTHERS = 'a re-implementation by others'
LISTING = "an article's listing"


class Mechanism(NamedTuple):
    """A row of the table.

    Attributes:
        module: The class; its first argument is in_channels, and the only one without a default.
        abbreviation: How mmcv names it inside a block, and so how its parameters are called.
        attends: What its attention is over.
        sources: Whose numbers it gives.
        place: Where it is meant to stand, for those that have such a place; all have that would
            more than double ResNet-50 if they stood in every block.
        left_out: A form in circulation that differs from the paper and is not offered; the module's
            docstring says how it differs.
        levels: Whether it makes the pixels of an image alike, so that norms behind it see one value
            an image: on the shortcut of every block (positions ``shortcut``, ``after_add`` and
            ``after_relu``) few images then do not train.
        kind: 'map': one map to one of the same shape; 'convolution': the same, with a stride and a
            dilation; 'fusion': two maps to one; 'part': two maps of different levels to one, which
            no place of a backbone or neck has: a head builds it, configs do not name it.
    """

    module: type[nn.Module]
    abbreviation: str
    attends: str
    sources: tuple[Source, ...]
    place: str = ''
    left_out: str = ''
    levels: bool = False
    kind: str = 'map'


def _row(
    module: type[nn.Module], abbreviation: str, attends: str, *sources: Source, **more: str | bool
) -> tuple[str, Mechanism]:
    return module.__name__, Mechanism(module, abbreviation, attends, sources, **more)


_AFF = 'YimianDai/open-aff'
_ANN = 'MendelXu/ANN'
_CBAM = 'Jongchan/attention-module'
_DANET = 'junfu1115/DANet'
_EXTERNAL = 'xmu-xiaoma666/External-Attention-pytorch'
_GSOP = 'ZilinGao/Global-Second-order-Pooling-Convolutional-Networks'
_IANET = 'blue-blue272/ImgReID-IAnet'
_INSIGHT = 'implus/PytorchInsight'
_RESIDUAL = 'tengshaofeng/ResidualAttentionNetwork-pytorch'
_SCSE = 'ai-med/squeeze_and_excitation'

# Every class of mmattn.attention but those that a row here contains: AsymmetricNonLocal (AFNB,
# APNB), ObjectAttention and SpatialGather (ObjectContext).
# fmt: off
TABLE = dict([
    _row(attention.AFF, 'aff', 'fusion', Source(AUTHORS, _AFF, 'as `gain=2`'), kind='fusion'),
    _row(attention.AFNB, 'afnb', 'self', Source(AUTHORS, _ANN), place='`ANLHead`', kind='part'),
    _row(attention.APNB, 'apnb', 'self', Source(AUTHORS, _ANN), place='`ANLHead`'),
    _row(attention.BAM, 'bam', 'hybrid', Source(OTHERS, _EXTERNAL),
         Source(AUTHORS, _CBAM, "as `fusion='product'`")),
    _row(attention.CBAM, 'cbam', 'hybrid', Source(AUTHORS, _CBAM)),
    _row(attention.CIAU, 'ciau', 'channel', Source(AUTHORS, _IANET)),
    _row(attention.CSE, 'cse', 'channel', Source(AUTHORS, _SCSE, 'inside SCSE')),
    _row(attention.ChannelAttention, 'channel_attention', 'self',
         Source(AUTHORS, _DANET, "the paper's equation 3 is `negate_energy=False`"),
         place='`DANetHead`'),
    _row(attention.CoordinateAttention, 'coordinate_attention', 'hybrid',
         Source(AUTHORS, 'houqb/CoordAttention')),
    _row(attention.CrissCross, 'criss_cross', 'self', Source(AUTHORS, 'speedinghzl/CCNet'),
         place='`CCNetHead`'),
    _row(attention.DoubleAttention, 'double_attention', 'self',
         Source(LISTING, note="as `distribution='positions'`"),
         left_out=f'{_ANN}, which multiplies by G^T'),
    _row(attention.ECA, 'eca', 'channel', Source(AUTHORS, 'BangguWu/ECANet')),
    _row(attention.FCA, 'fca', 'frequency', Source(AUTHORS, 'cfzd/FcaNet')),
    _row(attention.FullyAttentional, 'fully_attentional', 'self',
         Source(AUTHORS, 'Ilareina/FullyAttentional'), place='`FLAHead`'),
    _row(attention.GAM, 'gam', 'hybrid', Source(LISTING, note='as `channel_sigmoid=False`'),
         place='the end of one stage (`after_stage`) or a head',
         left_out="the paper's grouped convolutions with shuffle, for every block of ResNet-50"),
    _row(attention.GSoP, 'gsop', 'second-order',
         Source(AUTHORS, _GSOP, 'its spatial form as `released_centring=True`')),
    _row(attention.GatherExcite, 'gather_excite', 'hybrid',
         Source(LIBRARY, 'huggingface/pytorch-image-models'),
         left_out='its padded global convolution'),
    _row(attention.GlobalContext, 'global_context', 'self', Source(AUTHORS, 'xvjiarui/GCNet'),
         Source(LIBRARY, 'open-mmlab/mmcv'), place='`GCNetHead`'),
    _row(attention.IAFF, 'iaff', 'fusion', Source(AUTHORS, _AFF, 'its MXNet form'),
         place='`AFFFPN`; `fusion` of `AttnResNet` with `reduction=16`',
         left_out='its PyTorch form', kind='fusion'),
    _row(attention.InterlacedSparse, 'interlaced_sparse', 'self',
         Source(AUTHORS, 'openseg-group/openseg.pytorch'), place='`AttentionHead`'),
    _row(attention.MSCAM, 'mscam', 'hybrid', Source(AUTHORS, _AFF)),
    _row(attention.MultiHeadSelfAttention, 'self_attention', 'self',
         Source(LIBRARY, '`torch.nn.MultiheadAttention`'),
         place='the end of a stage (`after_stage`) or a head', levels=True),
    _row(attention.NonLocal, 'non_local', 'self',
         Source(LIBRARY, 'open-mmlab/mmcv', 'as `use_scale=True, norm_cfg=None`'),
         place='the end of a stage (`after_stage`) or a head'),
    _row(attention.ObjectContext, 'object_context', 'category',
         Source(AUTHORS, 'HRNet/HRNet-Semantic-Segmentation', 'its regions given'),
         place='`AttentionHead`; with its own loss `OCRNetHead`', levels=True),
    _row(attention.PolarizedSelfAttention, 'polarized', 'hybrid', Source(OTHERS, _EXTERNAL),
         place='`after_conv2` of bottlenecks', left_out='DeLightCMU/PSA'),
    _row(attention.PositionAttention, 'position_attention', 'self', Source(AUTHORS, _DANET),
         place='`DANetHead`'),
    _row(attention.RGA, 'rga', 'hybrid',
         Source(AUTHORS, 'microsoft/Relation-Aware-Global-Attention-Networks'), levels=True),
    _row(attention.ResidualAttention, 'residual_attention', 'hybrid',
         Source(OTHERS, _RESIDUAL, 'its stage with the skips of the paper'),
         place='between the stages (`after_stage`)', left_out='its stages with more'),
    _row(attention.SCSE, 'scse', 'hybrid', Source(AUTHORS, _SCSE, "as `fusion='max'`"),
         left_out='listings with a spatial gate for each channel'),
    _row(attention.SE, 'se', 'channel', Source(LISTING),
         Source(OTHERS, _INSIGHT, 'as `bias=True`')),
    _row(attention.SGE, 'sge', 'spatial', Source(AUTHORS, _INSIGHT)),
    _row(attention.SIAU, 'siau', 'spatial', Source(AUTHORS, _IANET),
         place='the end of a stage (`after_stage`)', left_out='its earlier `IABlock2D`'),
    _row(attention.SKConv, 'sk_conv', 'channel', Source(LISTING),
         Source(OTHERS, _EXTERNAL, 'its squeeze given'), place='`conv2`', kind='convolution'),
    _row(attention.SPA, 'spa', 'channel', Source(LISTING),
         place='`after_conv3`, as in its authors\' ResNets, or the lighter `after_conv2`'),
    _row(attention.SSE, 'sse', 'spatial', Source(AUTHORS, _SCSE, 'inside SCSE')),
    _row(attention.ShuffleAttention, 'shuffle_attention', 'hybrid',
         Source(AUTHORS, 'wofmanaf/SA-Net')),
])
# fmt: on

# What configs name.
MECHANISMS = {name: mechanism for name, mechanism in TABLE.items() if mechanism.kind != 'part'}

for _name, _mechanism in MECHANISMS.items():
    _mechanism.module._abbr_ = _mechanism.abbreviation
    MODELS.register_module(name=_name, module=_mechanism.module)

_KINDS = {'fusion': ('fusion',), 'conv2': ('convolution',)}


def build_mechanism(
    role: str, cfg: dict, norm_cfg: dict | None = None, **arguments
) -> tuple[str, nn.Module]:
    """Build a mechanism of the table, or any other registered module in its place.

    Args:
        role: The argument that holds ``cfg``. 'fusion' asks for a module of that kind, 'conv2' for
            a convolution, all others for one that maps a map to one of the same shape.
        cfg: ``dict(type=..., ...)``, and ``postfix`` where one block has several of a type.
        norm_cfg: Normalisation of what holds the mechanism. A mechanism whose ``cfg`` does not name
            its own takes this one, if it has such an argument; its parameters are new, so they
            train even where ``requires_grad=False`` freezes the holder's. None leaves the
            mechanism its default.
        **arguments: What the place knows: in_channels, and more for convolutions.

    Returns:
        mmcv's name for it (abbreviation and postfix), and the module.

    Raises:
        UserError: No type, an unknown one or one that does not fit the role; wrong arguments.
    """
    options = dict(cfg)
    postfix = options.pop('postfix', '')
    module = options.get('type')
    if isinstance(module, str):
        module = MODELS.get(module)
    kinds = _KINDS.get(role, ('map', 'convolution'))
    misfits = [m.module for m in MECHANISMS.values() if m.kind not in kinds]
    if not inspect.isclass(module) or module in misfits:
        fitting = [name for name, m in MECHANISMS.items() if m.kind in kinds]
        raise UserError(
            f'{role}: type must be one of {", ".join(fitting)}, or a module that you have '
            f'registered in mmseg.registry.MODELS; got {options.get("type")!r}'
        )
    parameters = inspect.signature(module).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if 'in_channels' not in parameters and not takes_any:
        raise UserError(
            f'{role}: {module.__name__} is no mechanism: its constructor takes no in_channels'
        )
    inherits = norm_cfg is not None and 'norm_cfg' not in options and 'norm_cfg' in parameters
    if inherits:
        options['norm_cfg'] = {k: v for k, v in norm_cfg.items() if k != 'requires_grad'}
    try:
        return build_plugin_layer(dict(options, type=module), postfix, **arguments)
    except (TypeError, ValueError) as error:
        if not module.__module__.startswith('mmattn.'):  # a bug of the user's may be behind it
            raise
        words = f'{role}: {module.__name__}: {error}'
        if inherits and 'norm_cfg' in str(error):
            words += (
                f'. {module.__name__} has taken the norm_cfg of what holds it; one of its own in '
                "its config replaces that, for example norm_cfg=dict(type='BN')"
            )
        raise UserError(words) from error
