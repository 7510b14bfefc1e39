_base_ = '../danet/danet_r50-d8_4xb4-160k_ade20k-512x512.py'
plugins = [dict(_base_.in_blocks, cfg=dict(type='SE'))]
model = dict(backbone=dict(type='AttnResNetV1c', plugins=plugins))
