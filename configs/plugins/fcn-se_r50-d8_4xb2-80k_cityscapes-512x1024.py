_base_ = '../_base_/recipes/r50-d8_4xb2-80k_cityscapes-512x1024.py'
in_blocks = dict(position='after_conv3', stages=(False, True, True, True))
model = dict(
    backbone=dict(type='AttnResNetV1c', plugins=[dict(in_blocks, cfg=dict(type='SE'))]),
    decode_head=dict(type='FCNHead'),
)
