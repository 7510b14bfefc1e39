_base_ = '../_base_/recipes/r50-d8_1xb8-20k_camvid-360x480.py'
model = dict(
    decode_head=dict(
        type='ANLHead', in_channels=(1024, 2048), in_index=(2, 3), project_channels=256
    )
)
