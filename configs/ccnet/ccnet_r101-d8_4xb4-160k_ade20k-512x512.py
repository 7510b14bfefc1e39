_base_ = './ccnet_r50-d8_4xb4-160k_ade20k-512x512.py'
model = _base_.resnet101
