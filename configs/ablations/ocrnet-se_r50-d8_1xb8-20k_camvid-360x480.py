_base_ = '../ocrnet/ocrnet_r50-d8_1xb8-20k_camvid-360x480.py'
plugins = [dict(_base_.in_blocks, cfg=dict(type='SE'))]
model = dict(backbone=dict(type='AttnResNetV1c', plugins=plugins))
