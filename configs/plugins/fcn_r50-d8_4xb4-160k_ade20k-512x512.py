_base_ = '../_base_/recipes/r50-d8_4xb4-160k_ade20k-512x512.py'
model = dict(backbone=dict(type='AttnResNetV1c'), decode_head=dict(type='FCNHead'))
