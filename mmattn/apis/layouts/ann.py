"""Asymmetric non-local network of its authors: https://github.com/MendelXu/ANN (on torchcv)."""

from mmattn.apis.layouts.ccnet import CEIL_MODE
from mmattn.apis.layouts.plan import Layout, Plan, Rule, State, caffe, conv_norm
from mmattn.apis.layouts.resnets import read_resnet


def block_rules(source: str, target: str, norm: str) -> tuple[Rule, ...]:
    """Rules for AFNB or APNB with one stage; ``norm`` is the name of the last batch norm."""
    rules = [
        rule
        for name in ('key', 'query')
        for rule in conv_norm(
            f'stages.0.f_{name}.0', f'stages.0.f_{name}.1.0', f'stages.0.{name}_project'
        )
    ]
    rules += [
        ('stages.0.f_value', 'stages.0.value_project'),
        ('stages.0.W', 'stages.0.out_project'),
    ]
    rules += conv_norm('conv_bn_dropout.0', norm, 'bottleneck')
    return tuple((source + old, target + new) for old, new in rules)


def _read(state: State) -> Plan:
    stem = 'backbone.prefix.' if 'backbone.prefix.conv1.weight' in state else 'backbone.resinit.'
    backbone, settings = read_resnet(state, 'backbone.', stem)
    rules = (
        *block_rules('fusion.', 'decode_head.fusion.', 'conv_bn_dropout.1'),
        *block_rules('context.2.', 'decode_head.context.', 'conv_bn_dropout.1.0'),
        *conv_norm('context.0', 'context.1.0', 'decode_head.bottleneck'),
        ('cls', 'decode_head.conv_seg'),
    )
    low, high = (state[f'fusion.stages.0.f_{name}.0.weight'] for name in ('key', 'query'))
    settings |= {
        'model.backbone.contract_dilation': True,
        'model.decode_head.type': 'ANLHead',
        'model.decode_head.in_channels': [low.shape[1], high.shape[1]],
        'model.decode_head.channels': len(state['context.0.weight']),
        'model.decode_head.project_channels': len(low),
        'model.decode_head.num_classes': len(state['cls.weight']),
        'model.decode_head.align_corners': True,
        **caffe(102.9801, 115.9465, 122.7717),
    }
    if 'dsn.0.weight' in state:
        rules += (
            *conv_norm('dsn.0', 'dsn.1.0', 'auxiliary_head.convs.0'),
            ('dsn.3', 'auxiliary_head.conv_seg'),
        )
        settings |= {
            'model.auxiliary_head.in_channels': state['dsn.0.weight'].shape[1],
            'model.auxiliary_head.channels': len(state['dsn.0.weight']),
            'model.auxiliary_head.num_classes': len(state['cls.weight']),
            'model.auxiliary_head.align_corners': True,
        }
    return Plan(rules + backbone, settings, (CEIL_MODE,))


ANN = Layout('ANN of MendelXu/ANN', ('fusion.stages.0.f_key.0.weight',), _read)
