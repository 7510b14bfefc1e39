"""ResNets of MMSegmentation, of all depths, with attention at every place of a block."""

from collections.abc import Sequence

from mmseg.models.backbones import ResNet, ResNetV1c, ResNetV1d, ResNeXt
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.backbones.resnext import Bottleneck as ResNeXtBottleneck
from mmseg.registry import MODELS
from torch import nn

from mmattn.errors import UserError
from mmattn.models.backbones.attn_blocks import (
    AttnBasicBlock,
    AttnBottleneck,
    AttnResNeXtBottleneck,
    AttnStage,
    positions,
)

_AFTER_STAGE = 'after_stage'
_PLUGIN_KEYS = {'cfg', 'position', 'stages'}
_BLOCKS = {
    BasicBlock: AttnBasicBlock,
    Bottleneck: AttnBottleneck,
    ResNeXtBottleneck: AttnResNeXtBottleneck,
}


@MODELS.register_module()
class AttnResNet(ResNet):
    """mmseg's ResNet with plugins in both kinds of blocks, chained, and at more positions.

    The second plugin at a position sees the output of the first. A mechanism keeps the
    initialisation of its source (with zeros where that has them), and takes the ``norm_cfg`` of the
    backbone unless its own config names one. Without plugins, outputs and state dict
    are mmseg's; with them, the state dict has theirs besides, under the names that mmseg's ResNet
    gives them, so that published weights load.

    Args:
        plugins: Dicts of ``cfg`` (of a registered module, and ``postfix`` where several of one type
            meet in a block), ``position`` and optionally ``stages`` (one truth value for each).
            Positions are 'before_conv1': what the residual branch reads, and the shortcut does not;
            'after_conv1', 'after_conv2', in bottlenecks (depth 50 and more) 'after_conv3': the
            convolution with its norm and activation, the last without; 'shortcut': the identity,
            or its projection; 'after_add': the sum of shortcut and residual, before its ReLU;
            'after_relu': behind it; 'after_stage': the output of a stage's last block.
        fusion: Config of what joins shortcut and residual in place of their sum:
            ``dict(type='AFF')`` or 'IAFF'.
        conv2: Config of what takes the place of the 3x3 convolution of bottlenecks (with its norm
            and activation) or of the second one of basic blocks (whose norm stays):
            ``dict(type='SKConv')``.
        **kwargs: Arguments of mmseg's ResNet.

    Raises:
        UserError: A plugin without config or position, an unknown position, a list of stages of
            the wrong length, a mechanism that is unknown or refuses its arguments.
    """

    def __init__(
        self,
        *,
        plugins: Sequence[dict] | None = None,
        fusion: dict | None = None,
        conv2: dict | None = None,
        **kwargs,
    ) -> None:
        # make_res_layer reads these inside the constructor of mmseg's ResNet.
        self.block_options = dict(fusion=fusion, conv2=conv2)
        super().__init__(plugins=plugins, **kwargs)

    def make_stage_plugins(self, plugins: Sequence[dict], stage_idx: int) -> list[dict]:
        """The plugins of one stage, as mmseg's; wrong ones are named."""
        for plugin in plugins:
            _check_plugin(plugin, _BLOCKS[self.block].num_convs, self.num_stages)
        return super().make_stage_plugins(plugins, stage_idx)

    def make_res_layer(
        self, block: type[nn.Module], plugins: Sequence[dict] | None, **kwargs
    ) -> AttnStage:
        """A stage of our blocks, and its output attention."""
        plugins = plugins or []
        inside = [plugin for plugin in plugins if plugin['position'] != _AFTER_STAGE]
        stage = AttnStage(block=_BLOCKS[block], plugins=inside, **self.block_options, **kwargs)
        for plugin in plugins:
            if plugin['position'] == _AFTER_STAGE:
                channels = kwargs['planes'] * block.expansion
                stage.hold('plugins', plugin['cfg'], kwargs['norm_cfg'], in_channels=channels)
        return stage


@MODELS.register_module()
class AttnResNetV1c(AttnResNet, ResNetV1c):
    """`AttnResNet` with the stem of three 3x3 convolutions."""


@MODELS.register_module()
class AttnResNetV1d(AttnResNet, ResNetV1d):
    """`AttnResNetV1c` whose shortcuts pool instead of striding."""


@MODELS.register_module()
class AttnResNeXt(AttnResNet, ResNeXt):
    """mmseg's ResNeXt with the places of `AttnResNet`.

    Mechanisms after the first two convolutions see the width of the groups, which is not that of a
    ResNet's block.

    Args:
        groups: Of the 3x3 convolutions, 32 in ResNeXt-50 (32x4d).
        base_width: Channels of a group in the first stage.
        **kwargs: Arguments of `AttnResNet`; depth 50, 101 or 152.
    """

    def make_res_layer(self, **kwargs) -> AttnStage:
        """As of `AttnResNet`, of grouped blocks."""
        return super().make_res_layer(
            groups=self.groups,
            base_width=self.base_width,
            base_channels=self.base_channels,
            **kwargs,
        )


def _check_plugin(plugin: dict, num_convs: int, num_stages: int) -> None:
    if not isinstance(plugin, dict) or not {'cfg', 'position'} <= set(plugin) <= _PLUGIN_KEYS:
        raise UserError(
            'plugins must be a list of dicts with the keys cfg and position, and stages if not all '
            f'stages are meant; got {plugin!r}'
        )
    known = [*positions(num_convs), _AFTER_STAGE]
    if plugin['position'] not in known:
        raise UserError(
            f'plugins: the positions of a ResNet with {num_convs} convolutions in a block are '
            f'{", ".join(known)}; got {plugin["position"]!r}'
        )
    stages = plugin.get('stages')
    if stages is not None and len(stages) != num_stages:
        raise UserError(
            f'plugins: stages must hold one truth value for each of the {num_stages} stages, '
            f'got {stages!r}'
        )
