"""CCNet (https://arxiv.org/abs/1811.11721)."""

from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import Tensor, nn

from mmattn.attention import CrissCross
from mmattn.models.decode_heads.context_fcn_head import ContextFCNHead


@MODELS.register_module()
class CCNetHead(ContextFCNHead):
    """Recurrent criss-cross attention in an FCN head.

    Loads state dicts of mmseg's CCHead, whose constructor arguments it has.

    Args:
        recurrence: Steps of criss-cross attention, which share their weights.
        category_loss: Config of a loss on the output of the attention, reduced to
            ``category_channels`` by a 1x1 convolution: that of the journal version (arXiv
            1811.11721v2) is ``dict(type='CategoryConsistentLoss')``. None leaves it out.
        category_channels: 16 in the paper.
        **kwargs: Arguments of mmseg's FCNHead, without num_convs.
    """

    def __init__(
        self,
        recurrence: int = 2,
        category_loss: dict | None = None,
        category_channels: int = 16,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.cca = CrissCross(self.channels, recurrence)
        self.category_loss = None
        if category_loss is not None:
            self.category_loss = MODELS.build(category_loss)
            self.category_project = nn.Conv2d(self.channels, category_channels, 1)

    def context(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W)."""
        return self.cca(x)

    def forward(
        self, inputs: list[Tensor], with_categories: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Backbone features -> logits (B, out_channels, H, W).

        ``with_categories`` also gives what the loss of the categories takes, (B, category_channels,
        H, W).
        """
        if not with_categories:
            return super().forward(inputs)
        x = self._transform_inputs(inputs)
        context = self.context(self.convs[0](x))
        logits = self.cls_seg(self._after_context(x, context))
        return logits, self.category_project(context)

    def loss(
        self, inputs: list[Tensor], batch_data_samples: SampleList, train_cfg: dict
    ) -> dict[str, Tensor]:
        """The losses of mmseg's FCNHead, and those of the categories as ``category.``."""
        if self.category_loss is None:
            return super().loss(inputs, batch_data_samples, train_cfg)
        logits, categories = self.forward(inputs, with_categories=True)
        losses = self.loss_by_feat(logits, batch_data_samples)
        labels = self._stack_batch_gt(batch_data_samples)
        terms = self.category_loss(categories, labels, self.ignore_index)
        return losses | add_prefix(terms, 'category')
