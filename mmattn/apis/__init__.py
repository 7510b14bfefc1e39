"""What tools and notebooks call."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.apis.test import test  # noqa: E402
from mmattn.apis.train import TrainResult, train  # noqa: E402

__all__ = ['TrainResult', 'test', 'train']
