_base_ = '../_base_/recipes/r50-d8_1xb8-20k_camvid-360x480.py'
in_blocks = dict(position='after_conv3', stages=(False, True, True, True))
between_stages = dict(position='after_stage', stages=(True, True, True, False))
model = dict(backbone=dict(type='AttnResNetV1c'), decode_head=dict(type='FCNHead'))
