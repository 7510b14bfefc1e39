"""Attentional feature fusion (AFF, https://arxiv.org/abs/2009.14082)."""

from collections.abc import Sequence

from torch import Tensor, nn

from mmattn.attention.layers import BN, RELU, ConvNormAct, LayerCfg, reduced_channels
from mmattn.attention.weighing import Blend, Gate, Weigh, compute

_CONTEXTS = ('local', 'global')


class MSCAM(nn.Module):
    """Multi-scale channel attention, equations 2 and 3 of the paper.

    ``y = x * M(x)``, ``M(x) = sigmoid(local(x) + global(mean of x))``: two bottlenecks of 1x1
    convolutions, one for every pixel and one for the image.

    Cost: 2 * B * H * W * C**2 / reduction multiply-adds. The global branch normalises one
    pixel an image, which a batch norm trains on with any number of images (see `NormSequential`).

    Args:
        in_channels: Channels of the input.
        reduction: Divides the channels inside both bottlenecks.
        norm_cfg: Normalisation after each convolution.
        act_cfg: Activation inside the bottlenecks.
        contexts: What each of the two bottlenecks sees, 'local' or 'global': two of one kind are
            the "Local + Local" and "Global + Global" that the paper compares with.

    Raises:
        ValueError: A reduction out of range, other contexts.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 4,
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
        contexts: Sequence[str] = _CONTEXTS,
    ) -> None:
        super().__init__()
        if isinstance(contexts, str) or len(contexts) != 2 or set(contexts) - {*_CONTEXTS}:
            raise ValueError(f'contexts must be two of {_CONTEXTS}, got {contexts!r}')
        self.contexts = tuple(contexts)
        channels = reduced_channels(in_channels, reduction)
        self.local_branch, self.global_branch = (
            nn.Sequential(
                ConvNormAct(in_channels, channels, 1, norm_cfg, act_cfg),
                ConvNormAct(channels, in_channels, 1, norm_cfg),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return weigh(Gate('values', self.weights(x), x))

    def weights(self, x: Tensor) -> Tensor:
        """M(x): (B, C, H, W) -> (B, C, H, W), or (B, C, 1, 1) of global contexts, in (0, 1)."""
        image = x.mean(dim=(2, 3), keepdim=True)
        first, second = (x if context == 'local' else image for context in self.contexts)
        return (self.local_branch(first) + self.global_branch(second)).sigmoid()


class AFF(nn.Module):
    """Fusion of two maps by attention, equation 4: a soft choice between them at every value.

    ``gain * (M(x + y) * x + (1 - M(x + y)) * y)``, M as in `MSCAM`. It replaces a sum: of shortcut
    and residual, of two levels of a pyramid, of a local branch and a global one. One of the two may
    be a vector for the image, (B, C, 1, 1): a global branch need not be enlarged.

    Cost: that of `MSCAM`.

    Args:
        in_channels: Channels of both maps.
        reduction: As in `MSCAM`.
        gain: 1 in the paper; 2 in the authors' code, where M = 1/2 then gives the sum x + y, which
            suits pretrained networks.
        norm_cfg: As in `MSCAM`.
        act_cfg: As in `MSCAM`.
        contexts: As in `MSCAM`.

    Raises:
        ValueError: A reduction out of range, other contexts.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 4,
        gain: float = 1.0,
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
        contexts: Sequence[str] = _CONTEXTS,
    ) -> None:
        super().__init__()
        self.gain = gain
        self.attention = MSCAM(in_channels, reduction, norm_cfg, act_cfg, contexts)

    def forward(self, x: Tensor, y: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) twice, or one of them (B, C, 1, 1) -> (B, C, H, W)."""
        return self.gain * weigh(Blend('maps', self.attention.weights(x + y), x, y))


class IAFF(nn.Module):
    """Iterative fusion, equations 4 and 5: the map that M sees is itself fused by attention.

    ``z = M1(x + y) * x + (1 - M1(x + y)) * y``, output ``M2(z) * x + (1 - M2(z)) * y``. (The
    authors' PyTorch file reads the global branch of M1 in both steps; their MXNet original and the
    paper do not, so that is not offered.) Vectors for the image serve as in `AFF`.

    Cost: twice that of `MSCAM`.

    Args:
        in_channels: Channels of both maps.
        reduction: As in `MSCAM`.
        norm_cfg: As in `MSCAM`.
        act_cfg: As in `MSCAM`.

    Raises:
        ValueError: A reduction out of range.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 4,
        norm_cfg: LayerCfg = BN,
        act_cfg: LayerCfg = RELU,
    ) -> None:
        super().__init__()
        self.first = MSCAM(in_channels, reduction, norm_cfg, act_cfg)
        self.second = MSCAM(in_channels, reduction, norm_cfg, act_cfg)

    def forward(self, x: Tensor, y: Tensor, weigh: Weigh = compute) -> Tensor:
        """(B, C, H, W) twice, or one of them (B, C, 1, 1) -> (B, C, H, W)."""
        fused = weigh(Blend('maps, first step', self.first.weights(x + y), x, y))
        return weigh(Blend('maps', self.second.weights(fused), x, y))
