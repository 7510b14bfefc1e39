"""Layouts of weights from elsewhere, one file each: names of entries and what they fit."""

from mmattn.apis.layouts.ann import ANN
from mmattn.apis.layouts.ccnet import CCNET
from mmattn.apis.layouts.danet import DANET
from mmattn.apis.layouts.flanet import FLANET
from mmattn.apis.layouts.hrnet_ocr import HRNET_OCR
from mmattn.apis.layouts.mmseg import MMSEG
from mmattn.apis.layouts.plan import Layout
from mmattn.apis.layouts.resnets import TIMM, TORCHVISION

LAYOUTS: dict[str, Layout] = {
    'mmseg': MMSEG,
    'danet': DANET,
    'ccnet': CCNET,
    'ann': ANN,
    'hrnet-ocr': HRNET_OCR,
    'flanet': FLANET,
    'torchvision': TORCHVISION,
    'timm': TIMM,
}
