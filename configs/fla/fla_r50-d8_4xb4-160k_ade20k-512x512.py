_base_ = '../_base_/recipes/r50-d8_4xb4-160k_ade20k-512x512.py'
model = dict(
    decode_head=dict(type='FLAHead', in_channels=(512, 1024, 2048), in_index=(1, 2, 3)),
    auxiliary_head=None,
)
