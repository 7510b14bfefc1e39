_base_ = './r50-d8_1xb8-20k_camvid-360x480.py'
model = _base_.resnet18
in_blocks = dict(_base_.in_blocks, position='after_conv2')
