"""What commands and notebooks call."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.apis.testing import test  # noqa: E402
from mmattn.apis.training import TrainResult, train  # noqa: E402
from mmattn.studies.ablation import Ablation, ablate  # noqa: E402
from mmattn.studies.report import report  # noqa: E402

__all__ = ['Ablation', 'TrainResult', 'ablate', 'report', 'test', 'train']
