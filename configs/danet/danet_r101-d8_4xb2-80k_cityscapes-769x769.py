_base_ = './danet_r50-d8_4xb2-80k_cityscapes-769x769.py'
model = _base_.resnet101
