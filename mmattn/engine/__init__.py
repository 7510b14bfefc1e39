"""What mmengine runs; importing this registers it, and changes nothing else."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.engine.cpu import AutocastOptimWrapper, CPUDistributedDataParallel  # noqa: E402
from mmattn.engine.exported import ExportedSegmentor  # noqa: E402
from mmattn.engine.hooks import (  # noqa: E402
    AttentionHook,
    ChannelsLastHook,
    CurveHook,
    NonFiniteHook,
    OptimizeHook,
    PredictionPanelHook,
    ProgressHook,
    SafeCheckpointHook,
    SavePredictionsHook,
)
from mmattn.engine.seekable import SeededDataset, SeekableSampler  # noqa: E402
from mmattn.engine.sharding import ShardedDataParallel  # noqa: E402
from mmattn.engine.train_loop import ResumableTrainLoop  # noqa: E402

__all__ = [
    'AttentionHook',
    'AutocastOptimWrapper',
    'CPUDistributedDataParallel',
    'ChannelsLastHook',
    'CurveHook',
    'ExportedSegmentor',
    'NonFiniteHook',
    'OptimizeHook',
    'PredictionPanelHook',
    'ProgressHook',
    'ResumableTrainLoop',
    'SafeCheckpointHook',
    'SavePredictionsHook',
    'SeededDataset',
    'SeekableSampler',
    'ShardedDataParallel',
]
