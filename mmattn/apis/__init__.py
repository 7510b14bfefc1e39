"""What commands and notebooks call."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.apis.checking import check  # noqa: E402
from mmattn.apis.converting import convert  # noqa: E402
from mmattn.apis.models import load_model  # noqa: E402
from mmattn.apis.predicting import PredictResult, predict  # noqa: E402
from mmattn.apis.prediction import Prediction  # noqa: E402
from mmattn.apis.segmentor import Segmentor  # noqa: E402
from mmattn.apis.testing import test  # noqa: E402
from mmattn.apis.training import TrainResult, train  # noqa: E402

__all__ = [
    'PredictResult',
    'Prediction',
    'Segmentor',
    'TrainResult',
    'check',
    'convert',
    'load_model',
    'predict',
    'test',
    'train',
]
