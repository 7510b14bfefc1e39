_base_ = '../_base_/recipes/r50-d8_4xb2-80k_cityscapes-512x1024.py'
model = dict(backbone=dict(type='AttnResNetV1c'), decode_head=dict(type='FCNHead'))
