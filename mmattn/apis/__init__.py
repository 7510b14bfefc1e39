"""What commands and notebooks call."""

from mmattn.compat import import_mmseg

import_mmseg()

from mmattn.apis.analyzing import analyze  # noqa: E402
from mmattn.apis.attending import draw_attention  # noqa: E402
from mmattn.apis.browsing import browse  # noqa: E402
from mmattn.apis.checking import check  # noqa: E402
from mmattn.apis.converting import convert  # noqa: E402
from mmattn.apis.exporting import Export, export  # noqa: E402
from mmattn.apis.models import load_model  # noqa: E402
from mmattn.apis.predicting import PredictResult, predict  # noqa: E402
from mmattn.apis.prediction import Prediction  # noqa: E402
from mmattn.apis.segmentor import Segmentor  # noqa: E402
from mmattn.apis.testing import test  # noqa: E402
from mmattn.apis.training import TrainResult, train  # noqa: E402
from mmattn.apis.tuning import Tuning, tune  # noqa: E402
from mmattn.studies.ablation import Ablation, ablate  # noqa: E402
from mmattn.studies.report import report  # noqa: E402

__all__ = [
    'Ablation',
    'Export',
    'PredictResult',
    'Prediction',
    'Segmentor',
    'TrainResult',
    'Tuning',
    'ablate',
    'analyze',
    'browse',
    'check',
    'convert',
    'draw_attention',
    'export',
    'load_model',
    'predict',
    'report',
    'test',
    'train',
    'tune',
]
