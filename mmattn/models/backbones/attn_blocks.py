"""Residual blocks and stages of MMSegmentation's ResNets that hold attention mechanisms."""

from collections.abc import Callable, Sequence
from functools import partial

from mmengine.model import BaseModule
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.backbones.resnext import Bottleneck as ResNeXtBottleneck
from mmseg.models.utils import ResLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmattn.errors import UserError
from mmattn.models.mechanisms import build_mechanism

BEFORE = 'before_conv1'
SHORTCUT, AFTER_ADD, AFTER_RELU = 'shortcut', 'after_add', 'after_relu'


def positions(num_convs: int) -> list[str]:
    """The places of a block that hold mechanisms, in the order in which data passes them."""
    after_convs = [f'after_conv{i + 1}' for i in range(num_convs)]
    return [BEFORE, *after_convs, SHORTCUT, AFTER_ADD, AFTER_RELU]


class Host(BaseModule):
    """A part of the backbone that holds mechanisms, which keep the initial values of their sources.

    mmengine's initialisation of a backbone draws all convolutions below it anew and sets the scale
    of every norm to 1. It then calls ``init_weights`` of whatever has one; mechanisms do not.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self._builders: dict[str, Callable[[], tuple[str, nn.Module]]] = {}

    def hold(
        self, role: str, cfg: dict, norm_cfg: dict, name: str | None = None, **arguments
    ) -> str:
        """Build a mechanism, add it under mmcv's name or the one given, and return the name."""
        build = partial(build_mechanism, role, cfg, norm_cfg, **arguments)
        default_name, module = build()
        name = default_name if name is None else name
        if hasattr(self, name):
            raise UserError(
                f'{role}: a block or stage has two modules {name!r}; tell them apart by a postfix, '
                "as in dict(type='SE', postfix='_2')"
            )
        self.add_module(name, module)
        self._builders[name] = build
        return name

    def init_weights(self) -> None:
        """As mmengine's, without the mechanisms."""
        super().init_weights()
        for name, build in self._builders.items():
            module = getattr(self, name)
            if not hasattr(module, 'init_weights'):
                module.load_state_dict(build()[1].state_dict())


class AttnBlock(Host):
    """What the two residual blocks share: their forward, for a class attribute ``num_convs``.

    Args:
        plugins: Dicts of ``cfg`` and ``position``.
        fusion: Config of what joins shortcut and residual; None adds them.
        conv2: Config of what takes the place of the second convolution.
        norm_cfg: Normalisation of the block, and of mechanisms that do not name their own.
        **kwargs: Other arguments of mmseg's block.
    """

    num_convs: int

    def __init__(
        self,
        plugins: Sequence[dict],
        fusion: dict | None,
        conv2: dict | None,
        norm_cfg: dict,
        **kwargs,
    ) -> None:
        super().__init__(norm_cfg=norm_cfg, **kwargs)
        out_channels = getattr(self, f'conv{self.num_convs}').out_channels
        if fusion is None:
            self.fusion = None
        else:
            self.hold('fusion', fusion, norm_cfg, 'fusion', in_channels=out_channels)
        if conv2 is not None:
            self._replace_conv2(conv2, norm_cfg)
        widths = {BEFORE: self.conv1.in_channels}  # of the places that have another
        widths |= {f'after_conv{i}': self.conv1.out_channels for i in range(1, self.num_convs)}
        self._names: dict[str, list[str]] = {}
        for plugin in plugins:
            position = plugin['position']
            channels = widths.get(position, out_channels)
            name = self.hold('plugins', plugin['cfg'], norm_cfg, in_channels=channels)
            self._names.setdefault(position, []).append(name)

    def _replace_conv2(self, cfg: dict, norm_cfg: dict) -> None:
        old = self.conv2
        del self.conv2
        self.hold(
            'conv2',
            cfg,
            norm_cfg,
            'conv2',
            in_channels=old.in_channels,
            stride=old.stride[0],
            dilation=old.dilation[0],
        )
        # Selective kernels bring their own norm and activation. Where conv2 is the last one, its
        # norm stays: the residual must be able to be negative, and to start at 0.
        if self.num_convs > 2:
            self.add_module(self.norm2_name, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """(B, inplanes, H, W) -> (B, planes * expansion, H / stride, W / stride)."""
        if self.with_cp and x.requires_grad:
            return checkpoint(self._run, x, use_reentrant=False)
        return self._run(x)

    def _run(self, x: Tensor) -> Tensor:
        out = self._attend(x, BEFORE)
        for i in range(1, self.num_convs + 1):
            out = getattr(self, f'norm{i}')(getattr(self, f'conv{i}')(out))
            if i < self.num_convs:
                out = self.relu(out)
            out = self._attend(out, f'after_conv{i}')
        shortcut = self._attend(x if self.downsample is None else self.downsample(x), SHORTCUT)
        out = shortcut + out if self.fusion is None else self.fusion(shortcut, out)
        # Not in place: a mechanism may need what it returned for its gradient.
        return self._attend(self._attend(out, AFTER_ADD).relu(), AFTER_RELU)

    def _attend(self, x: Tensor, position: str) -> Tensor:
        for name in self._names.get(position, ()):
            x = getattr(self, name)(x)
        return x


class AttnBasicBlock(AttnBlock, BasicBlock):
    num_convs = 2


class AttnBottleneck(AttnBlock, Bottleneck):
    num_convs = 3


class AttnResNeXtBottleneck(AttnBlock, ResNeXtBottleneck):
    num_convs = 3


class AttnStage(Host, ResLayer):
    """A stage, which ends in whatever it holds."""
