"""OCRNet with the regions of the labels (https://arxiv.org/abs/1909.11065, "Ground truth OCR")."""

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor
from torch.nn import functional as F

from mmattn.models.decode_heads.ocrnet_head import OCRNetHead

_RELATIONS = ('labels', 'attention')


@MODELS.register_module()
class GroundTruthOCRHead(OCRNetHead):
    """The upper bound of OCR: object regions, and which of them a pixel belongs to, are given.

    A region is the mean of the pixels that have its label; the context of a pixel is the
    representation of its own region (void pixels have none). The second head of a
    `GroundTruthCascade`, in training and in evaluation.

    Args:
        relation: 'labels' is the paper's. 'attention' lets pixels attend to the true regions, which
            tells what is lost by the regions from what is lost by the attention.
        **kwargs: Arguments of `OCRNetHead`.

    Raises:
        ValueError: An unknown relation.
    """

    def __init__(self, relation: str = 'labels', **kwargs) -> None:
        super().__init__(**kwargs)
        if relation not in _RELATIONS:
            raise ValueError(f'relation must be one of {_RELATIONS}, got {relation!r}')
        self.relation = relation
        if relation == 'labels':
            # Parameters without a gradient are refused by distributed training.
            self.object_context_block.query_project = None
            self.object_context_block.key_project = None

    def forward(self, inputs: list[Tensor], prev_output: Tensor) -> Tensor:
        """Features and maps (B, K, H, W), 1 where a pixel has a label -> logits of H x W."""
        feats = self.bottleneck(self._transform_inputs(inputs))
        maps = F.interpolate(prev_output, feats.shape[2:]).to(feats.dtype).flatten(2)
        count = maps.sum(dim=2, keepdim=True).clamp(min=1)
        regions = torch.matmul(feats.flatten(2), (maps / count).transpose(1, 2)).unsqueeze(3)
        block = self.object_context_block
        if self.relation == 'attention':
            return self.cls_seg(block(feats, regions))
        own = torch.matmul(block.value_project(regions).squeeze(3), maps)
        context = block.out_project(own.unflatten(2, feats.shape[2:]))
        return self.cls_seg(block.bottleneck(torch.cat([context, feats], dim=1)))

    def loss(
        self,
        inputs: list[Tensor],
        prev_output: Tensor,
        batch_data_samples: SampleList,
        train_cfg: dict,
    ) -> dict[str, Tensor]:
        """As of mmseg's, with the labels in the place of the last head's logits."""
        maps = self._maps([sample.gt_sem_seg.data for sample in batch_data_samples])
        return super().loss(inputs, maps, batch_data_samples, train_cfg)

    def predict(
        self,
        inputs: list[Tensor],
        prev_output: Tensor,
        batch_img_metas: list[dict],
        test_cfg: dict,
    ) -> Tensor:
        """As of mmseg's, with ``gt_sem_seg`` of the images in the place of the logits."""
        maps = self._maps([meta['gt_sem_seg'] for meta in batch_img_metas])
        return super().predict(inputs, maps.to(prev_output), batch_img_metas, test_cfg)

    def _maps(self, labels: list[Tensor]) -> Tensor:
        """(1, H, W) labels of one size -> (B, num_classes, H, W), void in none of the maps."""
        classes = torch.arange(self.num_classes, device=labels[0].device)[:, None, None]
        return (torch.stack(labels) == classes).float()
