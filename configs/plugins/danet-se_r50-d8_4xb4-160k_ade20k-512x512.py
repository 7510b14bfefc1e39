_base_ = '../danet/danet_r50-d8_4xb4-160k_ade20k-512x512.py'
in_blocks = dict(position='after_conv3', stages=(False, True, True, True))
plugins = [dict(in_blocks, cfg=dict(type='SE'))]
model = dict(backbone=dict(type='AttnResNetV1c', plugins=plugins))
