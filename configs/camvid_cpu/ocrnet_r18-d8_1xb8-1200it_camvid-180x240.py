_base_ = '../_base_/recipes/r18-d8_1xb8-1200it_camvid-180x240.py'
ocr_head = dict(_base_.model.decode_head, type='OCRNetHead', ocr_channels=64)
model = dict(_base_.cascade, decode_head=[_base_.model.auxiliary_head, ocr_head])
