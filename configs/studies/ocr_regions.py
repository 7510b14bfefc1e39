# OCRNet (https://arxiv.org/abs/1909.11065), its "ground truth OCR": object regions, and the region
# of each pixel, are taken from the labels in training and evaluation. This bounds what better
# regions could give; with 'true_regions' pixels attend to them, so that attention can still fail.
question = 'How much could OCR gain from perfect object regions?'
base = '../camvid_cpu/ocrnet_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'ocr'
variants = dict(
    none='../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py',
    ocr=dict(),
    true_regions={
        'model.type': 'GroundTruthCascade',
        'model.decode_head.1.type': 'GroundTruthOCRHead',
        'model.decode_head.1.relation': 'attention',
    },
    true_relation={
        'model.type': 'GroundTruthCascade',
        'model.decode_head.1.type': 'GroundTruthOCRHead',
    },
)
