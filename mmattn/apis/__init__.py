"""What commands and notebooks call."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.apis.checking import check  # noqa: E402
from mmattn.apis.testing import test  # noqa: E402
from mmattn.apis.training import TrainResult, train  # noqa: E402

__all__ = ['TrainResult', 'check', 'test', 'train']
