"""Hooks, known to configs by their class names."""

from mmattn.engine.hooks.attention import AttentionHook
from mmattn.engine.hooks.channels_last import ChannelsLastHook
from mmattn.engine.hooks.curve import CurveHook
from mmattn.engine.hooks.non_finite import NonFiniteHook
from mmattn.engine.hooks.optimize import OptimizeHook
from mmattn.engine.hooks.prediction_panels import PredictionPanelHook
from mmattn.engine.hooks.progress import ProgressHook
from mmattn.engine.hooks.safe_checkpoint import SafeCheckpointHook
from mmattn.engine.hooks.save_predictions import SavePredictionsHook

__all__ = [
    'AttentionHook',
    'ChannelsLastHook',
    'CurveHook',
    'NonFiniteHook',
    'OptimizeHook',
    'PredictionPanelHook',
    'ProgressHook',
    'SafeCheckpointHook',
    'SavePredictionsHook',
]
