# What the others of this folder plug a mechanism into, and where.
_base_ = '../_base_/recipes/r18-d8_1xb8-20k_camvid-360x480.py'
in_blocks = dict(position='after_conv2', stages=(False, True, True, True))
between_stages = dict(position='after_stage', stages=(True, True, True, False))
at_the_end = dict(position='after_stage', stages=(False, False, False, True))
model = dict(backbone=dict(type='AttnResNetV1c'), decode_head=dict(type='FCNHead'))
