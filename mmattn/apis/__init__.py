"""What commands and notebooks call."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.apis.attending import draw_attention  # noqa: E402
from mmattn.apis.models import load_model  # noqa: E402
from mmattn.apis.testing import test  # noqa: E402
from mmattn.apis.training import TrainResult, train  # noqa: E402

__all__ = ['TrainResult', 'draw_attention', 'load_model', 'test', 'train']
