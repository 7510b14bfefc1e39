"""Pictures of a run: training curves and predictions next to their ground truth."""

from mmattn.visualization.curves import plot_curves
from mmattn.visualization.panels import PredictionPanelHook, prediction_panel

__all__ = ['PredictionPanelHook', 'plot_curves', 'prediction_panel']
