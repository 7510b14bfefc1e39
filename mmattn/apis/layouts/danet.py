"""DANet of its authors: https://github.com/junfu1115/DANet (the layout of PyTorch-Encoding)."""

from mmattn.apis.layouts.plan import IMAGENET, Layout, Plan, State, conv_norm
from mmattn.apis.layouts.resnets import read_resnet

HEAD = (
    *conv_norm('conv5a.0', 'conv5a.1', 'pam_in_conv'),
    *conv_norm('conv5c.0', 'conv5c.1', 'cam_in_conv'),
    *conv_norm('conv51.0', 'conv51.1', 'pam_out_conv'),
    *conv_norm('conv52.0', 'conv52.1', 'cam_out_conv'),
    *((f'sa.{name}_conv', f'pam.{name}_project') for name in ('query', 'key', 'value')),
    ('sa.gamma', 'pam.gamma.scale'),
    ('sc.gamma', 'cam.gamma.scale'),
    ('conv6.1', 'pam_conv_seg'),
    ('conv7.1', 'cam_conv_seg'),
    ('conv8.1', 'conv_seg'),
)


def _read(state: State) -> Plan:
    backbone, settings = read_resnet(state, 'pretrained.')
    channels, in_channels = state['head.conv5a.0.weight'].shape[:2]
    settings |= {
        'model.backbone.contract_dilation': True,
        'model.decode_head.type': 'DANetHead',
        'model.decode_head.in_channels': in_channels,
        'model.decode_head.channels': channels,
        'model.decode_head.pam_channels': len(state['head.sa.query_conv.weight']),
        'model.decode_head.num_classes': len(state['head.conv8.1.weight']),
        'model.decode_head.align_corners': True,
        **IMAGENET,
    }
    head = tuple((f'head.{source}', f'decode_head.{target}') for source, target in HEAD)
    notes = (
        'a model that was trained with --multi-grid needs model.backbone.multi_grid as well, '
        '"(4,8,16)" for --multi-dilation 4 8 16; the weights do not show it',
    )
    return Plan(backbone + head, settings, notes, unused=('pretrained.fc', 'auxlayer'))


DANET = Layout('DANet of junfu1115/DANet', ('head.conv5a.0.weight',), _read)
