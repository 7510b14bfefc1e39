"""What mmengine runs; importing this registers it, and changes nothing else."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.engine.cpu import AutocastOptimWrapper, CPUDistributedDataParallel  # noqa: E402
from mmattn.engine.hooks import (  # noqa: E402
    ChannelsLastHook,
    CurveHook,
    NonFiniteHook,
    PredictionPanelHook,
    ProgressHook,
    SafeCheckpointHook,
    SavePredictionsHook,
)

__all__ = [
    'AutocastOptimWrapper',
    'CPUDistributedDataParallel',
    'ChannelsLastHook',
    'CurveHook',
    'NonFiniteHook',
    'PredictionPanelHook',
    'ProgressHook',
    'SafeCheckpointHook',
    'SavePredictionsHook',
]
