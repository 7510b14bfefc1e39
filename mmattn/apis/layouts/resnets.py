"""ResNets of other sources: which of mmseg's they are, and their names there."""

import re

from mmattn.apis.layouts.plan import IMAGENET, Layout, Plan, Rule, Settings, State
from mmattn.errors import UserError

_STAGES = ('layer1', 'layer2', 'layer3', 'layer4')
_DEPTHS = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
# Layers of a deep stem, in order: in a Sequential `conv1` followed by `bn1`, or with names of their
# own; here they are a Sequential `stem` with activations between them.
_DEEP_STEMS = (
    ('conv1.0', 'conv1.1', 'conv1.3', 'conv1.4', 'conv1.6', 'bn1'),
    ('conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3'),
)
_STEM = ('stem.0', 'stem.1', 'stem.3', 'stem.4', 'stem.6', 'stem.7')


def read_resnet(
    state: State, stages: str = '', stem: str | None = None, target: str = 'backbone.'
) -> tuple[tuple[Rule, ...], Settings]:
    """Rules for the entries of a ResNet, and the settings of the backbone that they fit.

    Args:
        state: Entries of the file.
        stages: Prefix of `layer1` to `layer4` in the file.
        stem: Prefix of the convolutions before them; default the same.
        target: Prefix of the backbone's entries in what is written; empty for weights of ImageNet,
            whose blocks are not dilated.

    Raises:
        UserError: It is no ResNet that mmseg's backbones can represent.
    """
    layers, settings = _read_stem(state, stages if stem is None else stem)
    rules = [(source, target + name) for source, name in layers]
    rules += [(stages + stage, target + stage) for stage in _STAGES]
    settings.update(_read_stages(state, stages))
    if target and settings['depth'] < 50:
        raise UserError(
            'its ResNet has basic blocks, whose second convolution is dilated too, but not in '
            'MMSegmentation: only networks with ResNets of depth 50 and more can be converted'
        )
    if settings.pop('avg_down'):
        deep = settings['type'] == 'ResNetV1c'
        settings.update({'type': 'ResNetV1d'} if deep else {'avg_down': True})
    return tuple(rules), {f'model.backbone.{key}': value for key, value in settings.items()}


def _read_stem(state: State, prefix: str) -> tuple[list[Rule], Settings]:
    for names in _DEEP_STEMS:
        sources = [prefix + name for name in names]
        if all(f'{source}.weight' in state for source in sources):
            first, second, third = (len(state[f'{source}.weight']) for source in sources[::2])
            if not first == second == third / 2:
                raise UserError(
                    f'the three convolutions of its stem have {first}, {second} and {third} '
                    'channels; those of ResNetV1c and V1d have half, half and all of '
                    '`stem_channels`, so no backbone of MMSegmentation can hold these weights'
                )
            return list(zip(sources, _STEM, strict=True)), _stem('ResNetV1c', third)
    weight = state.get(f'{prefix}conv1.weight')
    if weight is None or tuple(weight.shape[2:]) != (7, 7):
        raise UserError(
            f'its stem is neither one 7x7 convolution ({prefix}conv1) nor three of 3x3; found '
            f'{", ".join(key for key in state if key.startswith(prefix)) or "none"}'[:300]
        )
    return [(f'{prefix}{name}', name) for name in ('conv1', 'bn1')], _stem('ResNet', len(weight))


def _stem(kind: str, channels: int) -> Settings:
    return {'type': kind, 'stem_channels': channels}


def _read_stages(state: State, prefix: str) -> Settings:
    blocks = [count_children(state, prefix + stage) for stage in _STAGES]
    first = f'{prefix}layer1.0'
    bottleneck = f'{first}.conv3.weight' in state
    depth = _DEPTHS.get((bottleneck, tuple(blocks)))
    width, inner = len(state[f'{first}.conv1.weight']), state[f'{first}.conv2.weight'].shape[1]
    strange = [key for key in state if key.startswith(f'{prefix}layer') and not _is_plain(key)]
    reason = None
    if strange:
        reason = f'its blocks have more than convolutions and norms: {strange[0]}'
    elif depth is None:
        reason = f'no ResNet of MMSegmentation has stages of {blocks} blocks'
    elif inner != width:
        reason = f'its 3x3 convolutions are grouped ({inner} of {width} channels), as in ResNeXt'
    elif bottleneck and len(state[f'{first}.conv3.weight']) != 4 * width:
        reason = 'its bottlenecks are wider than those of a ResNet'
    if reason:
        raise UserError(f'{reason}; ResNets of depth 18, 34, 50, 101 and 152 can be converted')
    shortcut = state.get(f'{prefix}layer2.0.downsample.1.weight')
    # A pooling without weights before the convolution moves that to the second place.
    pooled = shortcut is not None and shortcut.dim() == 4
    return {'depth': depth, 'base_channels': width, 'avg_down': pooled}


def count_children(state: State, name: str) -> int:
    """Number of modules in a sequence."""
    pattern = re.compile(rf'{re.escape(name)}\.(\d+)\.')
    return len({found[1] for key in state if (found := pattern.match(key))})


def _is_plain(key: str) -> bool:
    return bool(re.search(r'layer\d\.\d+\.((conv|bn)[123]|downsample\.[012])\.\w+$', key))


def _read_imagenet(state: State) -> Plan:
    rules, settings = read_resnet(state, target='')
    return Plan(rules, settings | IMAGENET, unused=('fc',))


_MARKS = ('layer1.0.conv1.weight',)
TORCHVISION = Layout('ImageNet ResNets of torchvision', _MARKS, _read_imagenet, backbone_only=True)
TIMM = Layout('ImageNet ResNets of timm', _MARKS, _read_imagenet, backbone_only=True)
