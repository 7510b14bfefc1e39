"""Figures as PNG files, drawn without a display."""

import io
from collections.abc import Mapping

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(figure: Figure, texts: Mapping[str, str] | None = None) -> bytes:
    """A figure as the bytes of a PNG file, which may carry texts by keyword."""
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_png(data, metadata=texts)
    return data.getvalue()
