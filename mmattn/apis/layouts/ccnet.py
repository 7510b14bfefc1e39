"""CCNet of its authors: https://github.com/speedinghzl/CCNet (branches master and pytorch-1.1)."""

from mmattn.apis.layouts.plan import Layout, Plan, Rule, Settings, State, caffe, conv_norm
from mmattn.apis.layouts.resnets import read_resnet

CEIL_MODE = (
    "the authors' first pooling rounds sizes up, that of MMSegmentation down: predictions are the "
    'same for images whose sides leave 1 or 2 when divided by 4, as in windows of 769x769'
)


def head_rules(state: State) -> tuple[Rule, ...]:
    """Rules for the entries below `head`, in the names of either version of the code."""
    first, attention, second = (
        ('conva', 'cca', 'convb') if 'conva.0.weight' in state else ('conv1a', 'pc', 'conv1b')
    )
    return (
        *conv_norm(f'{first}.0', f'{first}.1', 'convs.0'),
        *conv_norm(f'{second}.0', f'{second}.1', 'convs.1'),
        *conv_norm('bottleneck.0', 'bottleneck.1', 'conv_cat'),
        *((f'{attention}.{name}_conv', f'cca.{name}_conv') for name in ('query', 'key', 'value')),
        (f'{attention}.gamma', 'cca.gamma.scale'),
        ('bottleneck.3', 'conv_seg'),
    )


def _read(state: State) -> Plan:
    backbone, settings = read_resnet(state)
    head = {
        key.removeprefix('head.'): value for key, value in state.items() if key.startswith('head.')
    }
    num_classes, channels = head['bottleneck.3.weight'].shape[:2]
    settings |= {
        'model.backbone.contract_dilation': False,
        'model.decode_head.type': 'CCNetHead',
        'model.decode_head.in_channels': head['bottleneck.0.weight'].shape[1] - channels,
        'model.decode_head.channels': channels,
        'model.decode_head.num_classes': num_classes,
        'model.decode_head.align_corners': True,
        **_leaky('model.decode_head'),
        **caffe(104.00698793, 116.66876762, 122.67891434),
    }
    rules = tuple(
        (f'head.{source}', f'decode_head.{target}') for source, target in head_rules(head)
    )
    if 'dsn.0.weight' in state:
        rules += (
            *conv_norm('dsn.0', 'dsn.1', 'auxiliary_head.convs.0'),
            ('dsn.3', 'auxiliary_head.conv_seg'),
        )
        settings |= {
            'model.auxiliary_head.in_channels': state['dsn.0.weight'].shape[1],
            'model.auxiliary_head.channels': len(state['dsn.0.weight']),
            'model.auxiliary_head.num_classes': num_classes,
            'model.auxiliary_head.align_corners': True,
            **_leaky('model.auxiliary_head'),
        }
    notes = (
        'the number of recurrent steps is not in the weights: give model.decode_head.recurrence '
        'as in training, 2 in the paper',
        CEIL_MODE,
    )
    return Plan(rules + backbone, settings, notes, absolute_scale=True)


def _leaky(head: str) -> Settings:
    """The activation that is part of InPlaceABN."""
    return {f'{head}.act_cfg.type': 'LeakyReLU', f'{head}.act_cfg.negative_slope': 0.01}


CCNET = Layout('CCNet of speedinghzl/CCNet', ('head.bottleneck.0.weight',), _read)
