_base_ = '../_base_/recipes/r18-d8_1xb8-1200it_camvid-180x240.py'
model = dict(
    decode_head=dict(type='FLAHead', in_channels=(128, 256, 512), in_index=(1, 2, 3)),
    auxiliary_head=None,
)
