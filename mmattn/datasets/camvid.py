"""CamVid: Cambridge-driving Labeled Video Database (Brostow et al., 2008), SegNet's 11 classes."""

import os

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid frames of 480x360 with 11 classes; void is 255 in the labels (11 in the SegNet files).

    Args:
        img_suffix: suffix of the images. By default ``.png`` (the SegNet files) or ``.jpg``
            (re-encoded copies), whichever the image folder holds.
        kwargs: arguments of :class:`mmseg.datasets.BaseSegDataset`.
    """

    METAINFO = dict(
        classes=(
            "sky", "building", "pole", "road", "pavement", "tree",
            "sign", "fence", "car", "pedestrian", "bicyclist",
        ),
        palette=[
            [128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222],
            [128, 128, 0], [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0],
            [0, 128, 192],
        ],
    )  # fmt: skip

    def __init__(self, img_suffix: str | None = None, **kwargs) -> None:
        super().__init__(
            img_suffix=img_suffix, seg_map_suffix='.png', reduce_zero_label=False, **kwargs
        )

    def load_data_list(self) -> list[dict]:
        """List the frames, after settling which image suffix the folder uses."""
        if self.img_suffix is None:
            names = os.listdir(self.data_prefix['img_path'])
            self.img_suffix = '.png' if any(name.endswith('.png') for name in names) else '.jpg'
        return super().load_data_list()
