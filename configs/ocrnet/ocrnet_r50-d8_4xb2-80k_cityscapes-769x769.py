_base_ = '../_base_/recipes/r50-d8_4xb2-80k_cityscapes-769x769.py'
ocr_head = dict(_base_.model.decode_head, type='OCRNetHead', ocr_channels=256)
model = dict(_base_.cascade, decode_head=[_base_.model.auxiliary_head, ocr_head])
