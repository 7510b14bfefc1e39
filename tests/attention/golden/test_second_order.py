import re

import pytest
from torch import nn

from mmattn.attention import GSoP
from tests.golden import Case, check, conv_norm, fold_biases, rename

MODES = {'1': 'channel', '2': 'spatial', '+': 'both'}
CHANNEL = (
    *conv_norm('conv_for_DR', 'bn_for_DR', 'channel_reduce'),
    ('row_bn', 'channel_gate.norm'),
    ('row_conv_group', 'channel_gate.rows'),
    ('fc_adapt_channels', 'channel_gate.project'),
)
SPATIAL = (
    *conv_norm('conv_for_DR_spatial', 'bn_for_DR_spatial', 'spatial_reduce'),
    ('row_bn_for_spatial', 'spatial_gate.norm'),
    ('row_conv_group_for_spatial', 'spatial_gate.rows'),
    ('fc_adapt_channels_for_spatial', 'spatial_gate.project'),
)


def _module(planes: int, in_channels: int, attention: str, channels: int) -> GSoP:
    stride = 1 if planes > 64 else 2
    return GSoP(in_channels, MODES[attention], channels, stride, released_centring=True)


@pytest.mark.parametrize('name', ['gsop_channel', 'gsop_channel_s1', 'gsop_spatial'])
def test_second_order_attention(golden_dir, name):
    case = Case(golden_dir, name)
    in_channels, planes, attention, channels = re.match(
        r"Bottleneck\((\d+), (\d+), attention='(.)', att_dim=(\d+)\)", case.text
    ).groups()
    module = _module(int(planes), int(in_channels), attention, int(channels))
    check(case, module, fold_biases(rename(case.params, *CHANNEL, *SPATIAL)))


class Bottleneck(nn.Module):
    """A residual bottleneck with attention before the sum."""

    def __init__(self, in_channels: int, planes: int, attention: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, in_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(in_channels)
        self.attention = attention

    def forward(self, x):
        out = self.bn1(self.conv1(x)).relu()
        out = self.bn2(self.conv2(out)).relu()
        return (self.attention(self.bn3(self.conv3(out))) + x).relu()


@pytest.mark.parametrize('name', ['gsop_block', 'gsop_block_avg'])
def test_second_order_attention_in_a_bottleneck(golden_dir, name):
    case = Case(golden_dir, name)
    in_channels, planes = case.args
    attention = _module(planes, in_channels, case.kwargs['attention'], case.kwargs['att_dim'])
    own = [(f'{kind}{i}', f'{kind}{i}') for kind in ('conv', 'bn') for i in (1, 2, 3)]
    pairs = [(old, f'attention.{new}') for old, new in (*CHANNEL, *SPATIAL)]
    state = fold_biases(rename(case.params, *own, *pairs))
    check(case, Bottleneck(in_channels, planes, attention), state)
