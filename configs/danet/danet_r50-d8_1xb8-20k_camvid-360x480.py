_base_ = '../_base_/recipes/r50-d8_1xb8-20k_camvid-360x480.py'
model = dict(decode_head=dict(type='DANetHead', pam_channels=64))
