"""What is special to SE, GatherExcite, ECA, SPA, FCA, GSoP and SKConv."""

import pytest
import torch
from torch.nn import functional as F

from mmattn.attention import ECA, FCA, SE, SPA, GatherExcite, GSoP, SKConv


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda: SE(16, reduction=32), 'reduction must be between 1 and in_channels=16, got 32'),
        (lambda: SE(16, reduction=0), 'reduction must be between 1 and in_channels=16, got 0'),
        (lambda: GatherExcite(16, extent=3), 'extent must be None .* or 2, 4, 8, .*, got 3'),
        (
            lambda: GatherExcite(16, parametrisation='theta+'),
            "one of .*'theta_plus'.*, got 'theta.'",
        ),
        (lambda: GatherExcite(16, parametrisation='theta'), 'size .* is needed for .theta.'),
        (
            lambda: GatherExcite(8, 2, 'theta_plus', reduction=16),
            'reduction must be between 1 and in_channels=8',
        ),
        (lambda: ECA(16, kernel_size=4), 'kernel_size must be odd and positive, got 4'),
        (lambda: SPA(8, channels=0), 'channels must be at least 1, got 0'),
        (lambda: FCA(16, size=5), 'size must be 7 or more, got 5'),
        (lambda: FCA(16, frequencies='top3'), "frequencies must be one of .*'top4'.*, got 'top3'"),
        (lambda: FCA(24), "in_channels=24 is not divisible by the 16 frequencies .* 'top8' works"),
        (lambda: FCA(16, reduction=32), 'reduction must be between 1 and in_channels=16'),
        (lambda: GSoP(16, 'position'), "mode must be one of .*'spatial'.*, got 'position'"),
        (lambda: GSoP(16, channels=0), 'channels must be at least 1, got 0'),
        (lambda: GSoP(16, stride=0), 'stride must be at least 1, got 0'),
        (lambda: GatherExcite(16, None, 'theta', size=0), 'size must be at least 1, got 0'),
        (lambda: SKConv(64, dilations=(1, 2, 3)), r'one number for each .* got \(3, 3\) and'),
        (lambda: SKConv(64, kernel_sizes=(3, 4)), r'kernel_sizes must be odd .* got \(3, 4\)'),
        (lambda: SKConv(64, dilations=(1, 0)), r'dilations must be at least 1, got \(1, 0\)'),
        (lambda: SKConv(64, min_channels=0), 'min_channels must be at least 1, got 0'),
        (lambda: SKConv(48, groups=32), 'groups must divide in_channels=48, got 32; 16 does'),
        (lambda: SKConv(64, reduction=65), 'reduction must be between 1 and in_channels=64'),
    ],
)
def test_wrong_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    'make',
    [
        lambda: FCA(16, size=(8, 12), frequencies='bot4'),
        lambda: GatherExcite(16, parametrisation='theta', size=(4, 6)),
        lambda: GSoP(16, 'spatial', channels=4, grid=4),
        lambda: SPA(16),
    ],
    ids=['FCA', 'GatherExcite', 'GSoP', 'SPA'],
)
def test_weights_of_one_size_see_the_same_in_the_image_at_twice_the_size(make):
    torch.manual_seed(0)
    module = make().double().eval()
    x = torch.randn(2, 16, 8, 12, dtype=torch.float64)

    def enlarge(x):
        return F.interpolate(x, scale_factor=2)

    with torch.no_grad():
        torch.testing.assert_close(module(enlarge(x)), enlarge(module(x)))


@pytest.mark.parametrize(('channels', 'kernel_size'), [(64, 3), (128, 5), (512, 5), (2048, 7)])
def test_kernel_of_efficient_channel_attention_grows_with_the_channels(channels, kernel_size):
    assert ECA(channels).conv.weight.shape == (1, 1, kernel_size)


@pytest.mark.parametrize(
    ('stride', 'dilation', 'size'), [(1, 1, (7, 9)), (2, 1, (4, 5)), (1, 4, (7, 9))]
)
def test_selection_between_equal_branches_gives_the_branch(stride, dilation, size):
    torch.manual_seed(0)
    module = SKConv(
        16, dilations=(1, 1), groups=4, reduction=4, stride=stride, dilation=dilation
    ).eval()
    first, second = module.branches
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 16, 7, 9)
    expected = F.conv2d(x, first.conv.weight, None, stride, dilation, dilation, groups=4)
    with torch.no_grad():
        out = module(x)
        torch.testing.assert_close(out, first.bn(expected).relu())
    assert out.shape[2:] == size


def test_dilated_stages_widen_every_branch():
    dilations = [branch.conv.dilation for branch in SKConv(64, dilation=2).branches]
    assert dilations == [(2, 2), (4, 4)]
