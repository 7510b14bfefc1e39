"""Pictures of a run: training curves, and predictions beside their ground truth. They only draw."""

from mmattn.visualization.curves import plot_curves
from mmattn.visualization.overlay import overlay_labels
from mmattn.visualization.panels import prediction_panel

__all__ = ['overlay_labels', 'plot_curves', 'prediction_panel']
