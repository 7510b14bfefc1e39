_base_ = '../_base_/recipes/r18-d8_1xb4-300it_toy-128x256.py'
model = dict(
    decode_head=dict(type='ANLHead', in_channels=(256, 512), in_index=(2, 3), project_channels=64)
)
