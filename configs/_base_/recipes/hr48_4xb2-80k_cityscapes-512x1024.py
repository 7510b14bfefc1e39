_base_ = './hr18_4xb2-80k_cityscapes-512x1024.py'
model = _base_.hrnet48
