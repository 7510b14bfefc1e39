"""The tables of names against reference vectors, which have the names of the authors."""

import re

import pytest
import torch

from mmattn.apis.layouts.ann import block_rules
from mmattn.apis.layouts.ccnet import head_rules
from mmattn.apis.layouts.flanet import BLOCK
from mmattn.apis.layouts.flanet import HEAD as FLA_HEAD
from mmattn.apis.layouts.hrnet_ocr import ATTENTION
from mmattn.apis.layouts.plan import Plan, translate
from mmattn.attention import AFNB, APNB, FullyAttentional, ObjectAttention
from mmattn.models import CCNetHead, FLAHead
from tests.golden import Case, check


def converted(rules, params):
    done = translate(Plan(tuple(rules)), params)
    assert not done.missing and not done.unexpected
    return done.state


def test_ann_fusion(golden_dir):
    case = Case(golden_dir, 'afnb')
    low, high, out_channels, channels, value_channels = case.args
    state = converted(block_rules('', '', 'conv_bn_dropout.1'), case.params)
    check(case, AFNB(low, high, channels, out_channels, value_channels), state)


def test_ann_context(golden_dir):
    case = Case(golden_dir, 'apnb')
    in_channels, out_channels, channels, value_channels = case.args
    state = converted(block_rules('', '', 'conv_bn_dropout.1.0'), case.params)
    check(case, APNB(in_channels, channels, out_channels, value_channels), state)


def test_object_attention(golden_dir):
    case = Case(golden_dir, 'ocr_attention')
    module = ObjectAttention(*case.args, **case.kwargs)
    state = converted(ATTENTION, case.params)
    state |= {k: v for k, v in module.state_dict().items() if k.startswith('bottleneck')}
    check(case, module, state, module.attend)


def test_fully_attentional_block(golden_dir):
    case = Case(golden_dir, 'fla')
    check(case, FullyAttentional(*case.args), converted(BLOCK, case.params))


def test_fla_head_has_all_entries_of_the_network(golden_dir):
    params = Case(golden_dir, 'fla_net').params
    head = FLAHead(
        in_channels=[12, 16, 24],
        in_index=[0, 1, 2],
        channels=16,
        aux_channels=4,
        num_classes=4,
        norm_cfg=dict(type='BN'),
    )
    names = {key for key in head.state_dict() if not key.endswith('num_batches_tracked')}
    state = converted(FLA_HEAD, params)
    assert {key for key in state if not key.endswith('num_batches_tracked')} == names


def test_ccnet_head(golden_dir):
    case = Case(golden_dir, 'rcca')
    in_channels, channels, num_classes = map(
        int, re.match(r'RCCAModule\((\d+), (\d+), (\d+)', case.text).groups()
    )
    leaky = dict(type='LeakyReLU', negative_slope=0.01)
    options = dict(norm_cfg=dict(type='BN'), act_cfg=leaky)
    head = CCNetHead(
        in_channels=in_channels, channels=in_channels // 4, num_classes=num_classes, **options
    )
    # The vector has a classifier of fewer channels than the convolutions before it.
    width = in_channels + in_channels // 4
    head.conv_cat = type(head.convs[0])(width, channels, 3, padding=1, **options)
    head.conv_seg = torch.nn.Conv2d(channels, num_classes, 1)
    done = translate(Plan(head_rules(case.params), absolute_scale=True), case.params)
    head.load_state_dict(done.state, strict=False)
    head.eval()
    with torch.no_grad():
        # InPlaceABN adds 1e-5 to the scale, the vector was computed with plain batch norms.
        torch.testing.assert_close(head([case.inputs[0]]), case.outputs[0], rtol=1e-3, atol=1e-3)


def test_two_entries_never_become_one():
    rules = (('a', 'c'), ('b', 'c'))
    with pytest.raises(ValueError, match='two entries'):
        translate(Plan(rules), {'a': torch.ones(1), 'b': torch.ones(1)})
