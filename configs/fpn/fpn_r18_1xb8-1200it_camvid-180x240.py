_base_ = '../_base_/recipes/r18-d8_1xb8-1200it_camvid-180x240.py'
model = _base_.fpn
