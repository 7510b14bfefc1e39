"""The one table of what mmattn.attention offers to configs: registered name, class, abbreviation.

Importing it registers all of them in mmseg.registry.MODELS, so that a config names them as plugins
of any backbone of MMSegmentation, or as ``attention`` and ``fusion`` of ours. Our backbones, necks
and heads give a mechanism their own ``norm_cfg``; mmseg's backbones build plugins without it, so
there the plugin's config must name it: ``dict(type='CBAM', norm_cfg=dict(type='SyncBN'))``.
"""

import inspect
from typing import NamedTuple

from mmcv.cnn import build_plugin_layer
from mmseg.registry import MODELS
from torch import nn

from mmattn import attention
from mmattn.errors import UserError


class Mechanism(NamedTuple):
    """A row of the table.

    Attributes:
        module: The class; its first argument is in_channels.
        abbreviation: How mmcv names it inside a block, and so how its parameters are called.
        kind: 'map': one map to one of the same shape; 'convolution': the same, with a stride and a
            dilation; 'fusion': two maps to one.
    """

    module: type[nn.Module]
    abbreviation: str
    kind: str = 'map'


# AFNB, ObjectAttention, SpatialGather and AsymmetricNonLocal are parts of heads: they relate maps
# that no single place of a backbone has.
MECHANISMS = {
    'AFF': Mechanism(attention.AFF, 'aff', 'fusion'),
    'APNB': Mechanism(attention.APNB, 'apnb'),
    'BAM': Mechanism(attention.BAM, 'bam'),
    'CBAM': Mechanism(attention.CBAM, 'cbam'),
    'CIAU': Mechanism(attention.CIAU, 'ciau'),
    'CSE': Mechanism(attention.CSE, 'cse'),
    'ChannelAttention': Mechanism(attention.ChannelAttention, 'channel_attention'),
    'CoordinateAttention': Mechanism(attention.CoordinateAttention, 'coordinate_attention'),
    'CrissCross': Mechanism(attention.CrissCross, 'criss_cross'),
    'DoubleAttention': Mechanism(attention.DoubleAttention, 'double_attention'),
    'ECA': Mechanism(attention.ECA, 'eca'),
    'FCA': Mechanism(attention.FCA, 'fca'),
    'FullyAttentional': Mechanism(attention.FullyAttentional, 'fully_attentional'),
    'GAM': Mechanism(attention.GAM, 'gam'),
    'GSoP': Mechanism(attention.GSoP, 'gsop'),
    'GatherExcite': Mechanism(attention.GatherExcite, 'gather_excite'),
    'GlobalContext': Mechanism(attention.GlobalContext, 'global_context'),
    'IAFF': Mechanism(attention.IAFF, 'iaff', 'fusion'),
    'InterlacedSparse': Mechanism(attention.InterlacedSparse, 'interlaced_sparse'),
    'MSCAM': Mechanism(attention.MSCAM, 'mscam'),
    'MultiHeadSelfAttention': Mechanism(attention.MultiHeadSelfAttention, 'self_attention'),
    'NonLocal': Mechanism(attention.NonLocal, 'non_local'),
    'ObjectContext': Mechanism(attention.ObjectContext, 'object_context'),
    'PolarizedSelfAttention': Mechanism(attention.PolarizedSelfAttention, 'polarized'),
    'PositionAttention': Mechanism(attention.PositionAttention, 'position_attention'),
    'RGA': Mechanism(attention.RGA, 'rga'),
    'ResidualAttention': Mechanism(attention.ResidualAttention, 'residual_attention'),
    'SCSE': Mechanism(attention.SCSE, 'scse'),
    'SE': Mechanism(attention.SE, 'se'),
    'SGE': Mechanism(attention.SGE, 'sge'),
    'SIAU': Mechanism(attention.SIAU, 'siau'),
    'SKConv': Mechanism(attention.SKConv, 'sk_conv', 'convolution'),
    'SPA': Mechanism(attention.SPA, 'spa'),
    'SSE': Mechanism(attention.SSE, 'sse'),
    'ShuffleAttention': Mechanism(attention.ShuffleAttention, 'shuffle_attention'),
}

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
    inherits = (
        norm_cfg is not None
        and 'norm_cfg' not in options
        and 'norm_cfg' in inspect.signature(module).parameters
    )
    if inherits:
        options['norm_cfg'] = {k: v for k, v in norm_cfg.items() if k != 'requires_grad'}
    try:
        return build_plugin_layer(dict(options, type=module), postfix, **arguments)
    except (TypeError, ValueError) as error:
        words = f'{role}: {module.__name__}: {error}'
        if inherits and 'norm_cfg' in str(error):
            words += (
                f'. {module.__name__} has taken the norm_cfg of what holds it; one of its own in '
                "its config replaces that, for example norm_cfg=dict(type='BN')"
            )
        raise UserError(words) from error
