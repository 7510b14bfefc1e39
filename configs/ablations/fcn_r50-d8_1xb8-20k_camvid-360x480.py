_base_ = '../_base_/recipes/r50-d8_1xb8-20k_camvid-360x480.py'
model = dict(backbone=dict(type='AttnResNetV1c'), decode_head=dict(type='FCNHead'))
