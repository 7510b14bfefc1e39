"""FLANet of its authors: `model.py` of https://github.com/Ilareina/FullyAttentional."""

from mmattn.apis.layouts.plan import Layout, Plan, State, conv_norm
from mmattn.apis.layouts.resnets import read_resnet

BLOCK = (
    ('gamma', 'gamma.scale'),
    ('conv1', 'column_encoding'),
    ('conv2', 'row_encoding'),
    *conv_norm('conv.0', 'conv.1', 'conv'),
)
HEAD = (
    *conv_norm('conv.0', 'conv.1', 'reduce.0'),
    *conv_norm('conv.3', 'conv.4', 'reduce.1'),
    *((f'fully.{source}', f'attention.{target}') for source, target in BLOCK),
    *conv_norm('conv_out1.conv.1', 'conv_out1.conv.2', 'fuse'),
    ('conv_out1.conv.5', 'conv_seg'),
    *conv_norm('conv_out2.conv.1', 'conv_out2.conv.2', 'aux_convs.0'),
    ('conv_out2.conv.5', 'aux_conv_segs.0'),
    *conv_norm('conv_out3.conv.1', 'conv_out3.conv.2', 'aux_convs.1'),
    ('conv_out3.conv.5', 'aux_conv_segs.1'),
)


def _read(state: State) -> Plan:
    backbone, settings = read_resnet(state, 'backbone.')
    channels, high = state['conv.0.weight'].shape[:2]
    stage2, stage3 = (state[f'conv_out{i}.conv.1.weight'].shape[1] for i in (2, 3))
    settings |= {
        'model.backbone.contract_dilation': False,
        'model.decode_head.type': 'FLAHead',
        'model.decode_head.in_channels': [stage2, stage3, high],
        'model.decode_head.channels': channels,
        'model.decode_head.aux_channels': len(state['conv_out2.conv.1.weight']),
        'model.decode_head.num_classes': len(state['conv_out1.conv.5.weight']),
        'model.decode_head.align_corners': True,
    }
    rules = tuple((source, f'decode_head.{target}') for source, target in HEAD)
    notes = (
        "the authors' block mixes the images of a batch, ours does not: predictions are those of "
        'their network on single images',
    )
    return Plan(rules + backbone, settings, notes)


FLANET = Layout('FLANet of Ilareina/FullyAttentional', ('fully.conv1.weight',), _read)
