"""Entries of the networks of other repositories, by their names and shapes there, with fewer
channels: the stages of the ResNets have 8, 16, 32 and 64."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = dict[str, Tensor]
NUM_CLASSES = 5
_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def conv(
    name: str, out_channels: int, in_channels: int, size: int = 1, bias: bool = False
) -> State:
    entries = {f'{name}.weight': 0.2 * torch.randn(out_channels, in_channels, size, size)}
    return entries | ({f'{name}.bias': torch.randn(out_channels)} if bias else {})


def norm(name: str, channels: int) -> State:
    return {
        f'{name}.weight': 1 + 0.2 * torch.randn(channels),
        f'{name}.bias': 0.2 * torch.randn(channels),
        f'{name}.running_mean': 0.2 * torch.randn(channels),
        f'{name}.running_var': 0.5 + torch.rand(channels),
    }


def linear(name: str, channels: int) -> State:
    return {
        f'{name}.weight': torch.randn(channels, channels),
        f'{name}.bias': torch.randn(channels),
    }


def below(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def merged(*states: State) -> State:
    return {key: value for state in states for key, value in state.items()}


def published(state: State) -> State:
    """As large as the published network: 32 times the channels, 19 classes; shapes alone."""
    sizes = {1: 1, 3: 3, NUM_CLASSES: 19}
    return {
        key: torch.empty(
            (*(sizes.get(size, 32 * size) for size in value.shape[:2]), *value.shape[2:]),
            device='meta',
        )
        for key, value in state.items()
    }


class Block(nn.Module):
    """A residual block under the names that torchvision gave, and others took over."""

    def __init__(
        self, channels: int, width: int, stride: int, dilation: int, deep: bool, pool: bool
    ) -> None:
        super().__init__()
        out_channels = 4 * width if deep else width
        sizes = [(1, 1, 1), (3, stride, dilation), (1, 1, 1)]
        sizes = sizes if deep else [(3, stride, dilation), (3, 1, 1)]
        widths = [channels, width, width, out_channels] if deep else [channels, width, width]
        for i, (size, step, dilation) in enumerate(sizes):
            layer = nn.Conv2d(
                *widths[i : i + 2], size, step, dilation * (size // 2), dilation, bias=False
            )
            self.add_module(f'conv{i + 1}', layer)
            self.add_module(f'bn{i + 1}', nn.BatchNorm2d(widths[i + 1]))
        self.count = len(sizes)
        self.downsample = None
        if stride != 1 or channels != out_channels:
            layers = [nn.AvgPool2d(stride, stride, ceil_mode=True)] if pool else []
            step = 1 if pool else stride
            layers += [nn.Conv2d(channels, out_channels, 1, step, bias=False)]
            self.downsample = nn.Sequential(*layers, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(y))
            y = y.relu() if i < self.count else y
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class OriginalResNet(nn.Module):
    """A ResNet as other repositories name it.

    Args:
        stem: 'plain' (one 7x7 convolution), 'sequential' (PyTorch-Encoding, timm), 'flat' (CCNet)
            or the name of a module that holds the layers (torchcv).
        depth: 18, 50 or 101.
        stem_channels: Channels of the three convolutions of a deep stem.
        dilations: Of the first block and of the others, for each stage.
        strides: Of each stage.
        pool: The shortcuts pool instead of striding.
    """

    def __init__(
        self,
        stem: str = 'plain',
        depth: int = 50,
        stem_channels: Sequence[int] = (8, 8, 16),
        dilations: Sequence[tuple[int, int]] = ((1, 1), (1, 1), (1, 2), (2, 4)),
        strides: Sequence[int] = (1, 2, 1, 1),
        pool: bool = False,
    ) -> None:
        super().__init__()
        self.kind = stem
        deep, blocks = depth > 18, _BLOCKS[depth]
        base = 2 if deep else 8
        a, b, c = stem_channels
        if stem == 'plain':
            self.conv1 = nn.Conv2d(3, c, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(c)
        else:
            convs = [
                nn.Conv2d(*x, 3, s, 1, bias=False) for *x, s in ((3, a, 2), (a, b, 1), (b, c, 1))
            ]
            norms = [nn.BatchNorm2d(x.out_channels) for x in convs]
            if stem == 'sequential':
                inner = [convs[0], norms[0], nn.ReLU(), convs[1], norms[1], nn.ReLU(), convs[2]]
                self.conv1, self.bn1 = nn.Sequential(*inner), norms[2]
            else:
                place = self if stem == 'flat' else nn.Module()
                for i in range(3):
                    place.add_module(f'conv{i + 1}', convs[i])
                    place.add_module(f'bn{i + 1}', norms[i])
                if place is not self:
                    self.add_module(stem, place)
        channels = c
        for i, count in enumerate(blocks):
            width = base * 2**i
            first, others = dilations[i]
            layers = []
            for j in range(count):
                dilation = first if j == 0 else others
                stride = strides[i] if j == 0 else 1
                layers.append(Block(channels, width, stride, dilation, deep, pool))
                channels = 4 * width if deep else width
            self.add_module(f'layer{i + 1}', nn.Sequential(*layers))
        with torch.no_grad():
            for key, value in self.state_dict().items():
                if key.endswith('running_var'):
                    value.uniform_(0.5, 1.5)
                elif value.dim() == 1:
                    value.add_(0.2 * torch.randn(value.shape))
        self.eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        """The outputs of the four stages."""
        place = self if self.kind in ('plain', 'sequential', 'flat') else getattr(self, self.kind)
        names = ('1',) if self.kind in ('plain', 'sequential') else ('1', '2', '3')
        for name in names:
            x = getattr(place, f'bn{name}')(getattr(place, f'conv{name}')(x)).relu()
        x = F.max_pool2d(x, 3, 2, 1)
        maps = []
        for i in range(1, 5):
            x = getattr(self, f'layer{i}')(x)
            maps.append(x)
        return maps


def ccnet_head(old_names: bool = False) -> State:
    first, attention, second = (
        ('conv1a', 'pc', 'conv1b') if old_names else ('conva', 'cca', 'convb')
    )
    return merged(
        conv(f'{first}.0', 16, 64, 3),
        norm(f'{first}.1', 16),
        conv(f'{second}.0', 16, 16, 3),
        norm(f'{second}.1', 16),
        conv(f'{attention}.query_conv', 2, 16, bias=True),
        conv(f'{attention}.key_conv', 2, 16, bias=True),
        conv(f'{attention}.value_conv', 16, 16, bias=True),
        {f'{attention}.gamma': torch.tensor([0.7])},
        conv('bottleneck.0', 16, 80, 3),
        norm('bottleneck.1', 16),
        conv('bottleneck.3', NUM_CLASSES, 16, bias=True),
    )


def side_output(norm_name: str = 'dsn.1') -> State:
    return merged(
        conv('dsn.0', 16, 32, 3, bias=True),
        norm(norm_name, 16),
        conv('dsn.3', NUM_CLASSES, 16, bias=True),
    )


def ann_network() -> State:
    def stage(name: str, low: int, high: int, out: int) -> State:
        return merged(
            conv(f'{name}.f_key.0', 8, low, bias=True),
            norm(f'{name}.f_key.1.0', 8),
            conv(f'{name}.f_query.0', 8, high, bias=True),
            norm(f'{name}.f_query.1.0', 8),
            conv(f'{name}.f_value', 8, low, bias=True),
            conv(f'{name}.W', out, 8, bias=True),
        )

    inner = stage('context.2.stages.0', 16, 16, 16)
    # One module under two names.
    inner |= {key.replace('f_key', 'f_query'): inner[key] for key in inner if 'f_key' in key}
    return merged(
        stage('fusion.stages.0', 32, 64, 64),
        conv('fusion.conv_bn_dropout.0', 64, 128, bias=True),
        norm('fusion.conv_bn_dropout.1', 64),
        conv('context.0', 16, 64, 3, bias=True),
        norm('context.1.0', 16),
        inner,
        conv('context.2.conv_bn_dropout.0', 16, 32, bias=True),
        norm('context.2.conv_bn_dropout.1.0', 16),
        conv('cls', NUM_CLASSES, 16, bias=True),
        side_output('dsn.1.0'),
    )


def fla_network() -> State:
    def output(name: str, in_channels: int, channels: int) -> State:
        return merged(
            conv(f'{name}.conv.1', channels, in_channels, 3),
            norm(f'{name}.conv.2', channels),
            conv(f'{name}.conv.5', NUM_CLASSES, channels, bias=True),
        )

    return merged(
        conv('conv.0', 16, 64, 3),
        norm('conv.1', 16),
        conv('conv.3', 16, 16, 3),
        norm('conv.4', 16),
        {'fully.gamma': torch.tensor([0.7])},
        linear('fully.conv1', 16),
        linear('fully.conv2', 16),
        conv('fully.conv.0', 16, 16, 3),
        norm('fully.conv.1', 16),
        output('conv_out1', 80, 16),
        output('conv_out2', 16, 2),
        output('conv_out3', 32, 2),
    )


def ocr_heads(channels: int, k: int = 1) -> State:
    def layer(name: str, out_channels: int, in_channels: int) -> State:
        stem, index = name.rsplit('.', 1)
        return merged(
            conv(name, out_channels, in_channels), norm(f'{stem}.{int(index) + 1}.0', out_channels)
        )

    block = 'ocr_distri_head.object_context_block'
    return merged(
        conv('aux_head.0', channels, channels, bias=True),
        norm('aux_head.1', channels),
        conv('aux_head.3', NUM_CLASSES, channels, bias=True),
        conv('conv3x3_ocr.0', 16 * k, channels, 3, bias=True),
        norm('conv3x3_ocr.1', 16 * k),
        layer(f'{block}.f_pixel.0', 8 * k, 16 * k),
        layer(f'{block}.f_pixel.2', 8 * k, 8 * k),
        layer(f'{block}.f_object.0', 8 * k, 16 * k),
        layer(f'{block}.f_object.2', 8 * k, 8 * k),
        layer(f'{block}.f_down.0', 8 * k, 16 * k),
        layer(f'{block}.f_up.0', 16 * k, 8 * k),
        layer('ocr_distri_head.conv_bn_dropout.0', 16 * k, 32 * k),
        conv('cls_head', NUM_CLASSES, 16 * k, bias=True),
    )
