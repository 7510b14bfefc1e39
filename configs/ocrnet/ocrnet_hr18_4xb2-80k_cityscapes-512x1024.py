_base_ = '../_base_/recipes/hr18_4xb2-80k_cityscapes-512x1024.py'
ocr_head = dict(_base_.model.decode_head, type='OCRNetHead', ocr_channels=256)
model = dict(_base_.cascade, decode_head=[_base_.model.auxiliary_head, ocr_head])
