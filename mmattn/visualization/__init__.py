"""Pictures: training curves, predictions beside their ground truth, and what a model attends to."""

from mmattn.visualization.capture import capture_attention
from mmattn.visualization.curves import plot_curves
from mmattn.visualization.overlay import overlay_labels
from mmattn.visualization.panels import prediction_panel

__all__ = ['capture_attention', 'overlay_labels', 'plot_curves', 'prediction_panel']
