"""Data sets of ours and their preparation.

Importing this package registers the data sets in ``mmseg.registry.DATASETS``.
"""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.datasets.camvid import CamVidDataset  # noqa: E402
from mmattn.datasets.clips import CamVidClips, ClipSampler  # noqa: E402
from mmattn.datasets.toy import ToyScenesDataset, generate_toy_scenes  # noqa: E402

__all__ = [
    'CamVidClips',
    'CamVidDataset',
    'ClipSampler',
    'ToyScenesDataset',
    'generate_toy_scenes',
]
