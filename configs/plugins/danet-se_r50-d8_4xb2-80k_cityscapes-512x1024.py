_base_ = '../danet/danet_r50-d8_4xb2-80k_cityscapes-512x1024.py'
plugins = [dict(_base_.in_blocks, cfg=dict(type='SE'))]
model = dict(backbone=dict(type='AttnResNetV1c', plugins=plugins))
