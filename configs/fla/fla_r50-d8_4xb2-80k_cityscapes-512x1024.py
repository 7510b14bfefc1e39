_base_ = '../_base_/recipes/r50-d8_4xb2-80k_cityscapes-512x1024.py'
model = dict(
    decode_head=dict(type='FLAHead', in_channels=(512, 1024, 2048), in_index=(1, 2, 3)),
    auxiliary_head=None,
)
