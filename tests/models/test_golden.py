"""Whole heads against their authors' networks."""

import re

import torch
from torch.nn import functional as F

from mmattn.models import CCNetHead, DANetHead, FLAHead
from tests.attention.golden.layouts import FLA_BLOCK
from tests.golden import Case, check, conv_norm, rename

BN = dict(type='BN')


def test_danet_head(golden_dir):
    case = Case(golden_dir, 'danet_head')
    in_channels, num_classes = case.args[:2]
    query_channels = case.params['sa.query_conv.weight'].shape[0]
    head = DANetHead(
        query_channels,
        in_channels=in_channels,
        channels=in_channels // 4,
        num_classes=num_classes,
        norm_cfg=BN,
    )
    state = rename(
        case.params,
        *conv_norm('conv5a.0', 'conv5a.1', 'pam_in_conv'),
        *conv_norm('conv5c.0', 'conv5c.1', 'cam_in_conv'),
        *conv_norm('conv51.0', 'conv51.1', 'pam_out_conv'),
        *conv_norm('conv52.0', 'conv52.1', 'cam_out_conv'),
        *((f'sa.{name}_conv', f'pam.{name}_project') for name in ('query', 'key', 'value')),
        ('sa.gamma', 'pam.gamma.scale'),
        ('sc.gamma', 'cam.gamma.scale'),
        *((f'conv{i}.1', name) for i, name in _DANET_CLASSIFIERS),
    )
    check(case, head, state, lambda x: head([x]))


_DANET_CLASSIFIERS = ((6, 'pam_conv_seg'), (7, 'cam_conv_seg'), (8, 'conv_seg'))


def test_ccnet_head(golden_dir):
    case = Case(golden_dir, 'rcca')
    in_channels, channels, num_classes = map(
        int, re.match(r'RCCAModule\((\d+), (\d+), (\d+)', case.text).groups()
    )
    head = CCNetHead(
        recurrence=2,
        in_channels=in_channels,
        channels=in_channels // 4,
        num_classes=num_classes,
        norm_cfg=BN,
        act_cfg=dict(type='LeakyReLU', negative_slope=0.01),
    )
    # The authors' classifier reads `channels` features, mmseg's reads those of its convolutions.
    head.conv_cat = type(head.convs[0])(
        in_channels + in_channels // 4,
        channels,
        3,
        padding=1,
        norm_cfg=BN,
        act_cfg=dict(type='LeakyReLU', negative_slope=0.01),
    )
    head.conv_seg = torch.nn.Conv2d(channels, num_classes, 1)
    state = rename(
        case.params,
        *conv_norm('conva.0', 'conva.1', 'convs.0'),
        *conv_norm('convb.0', 'convb.1', 'convs.1'),
        *conv_norm('bottleneck.0', 'bottleneck.1', 'conv_cat'),
        ('bottleneck.3', 'conv_seg'),
        ('cca', 'cca'),
        ('cca.gamma', 'cca.gamma.scale'),
    )
    check(case, head, state, lambda x: head([x]))


def test_fla_network_without_its_backbone(golden_dir):
    case = Case(golden_dir, 'fla_net')
    channels, in_channels = case.params['conv.0.weight'].shape[:2]
    head = FLAHead(
        in_channels=[case.inputs[2].shape[1], case.inputs[1].shape[1], in_channels],
        in_index=[0, 1, 2],
        channels=channels,
        aux_channels=case.params['conv_out2.conv.1.weight'].shape[0],
        num_classes=case.outputs[0].shape[1],
        norm_cfg=BN,
        align_corners=True,
    )
    # In the authors' network the main output is as wide as the reduction, here it is narrower.
    width = case.params['conv_out1.conv.1.weight'].shape[0]
    head.fuse = type(head.fuse)(in_channels + channels, width, 3, padding=1, norm_cfg=BN)
    head.conv_seg = torch.nn.Conv2d(width, case.outputs[0].shape[1], 1)
    state = rename(
        case.params,
        *conv_norm('conv.0', 'conv.1', 'reduce.0'),
        *conv_norm('conv.3', 'conv.4', 'reduce.1'),
        *((f'fully.{old}', f'attention.{new}') for old, new in FLA_BLOCK),
        *conv_norm('conv_out1.conv.1', 'conv_out1.conv.2', 'fuse'),
        ('conv_out1.conv.5', 'conv_seg'),
        *conv_norm('conv_out2.conv.1', 'conv_out2.conv.2', 'aux_convs.0'),
        ('conv_out2.conv.5', 'aux_conv_segs.0'),
        *conv_norm('conv_out3.conv.1', 'conv_out3.conv.2', 'aux_convs.1'),
        ('conv_out3.conv.5', 'aux_conv_segs.1'),
    )

    def forward(stage4, stage3, stage2):
        stages = [stage2, stage3, stage4]
        logits = [head(stages), *head.forward_aux(stages)]
        size = case.outputs[0].shape[2:]
        return [F.interpolate(y, size, mode='bilinear', align_corners=True) for y in logits]

    check(case, head, state, forward)
