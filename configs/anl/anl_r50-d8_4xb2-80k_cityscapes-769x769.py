_base_ = '../_base_/recipes/r50-d8_4xb2-80k_cityscapes-769x769.py'
model = dict(
    decode_head=dict(
        type='ANLHead', in_channels=(1024, 2048), in_index=(2, 3), project_channels=256
    )
)
