# A third of the CPU benchmark's iterations: four minutes on two cores with `train.py --amp`.
_base_ = '../_base_/recipes/r18-d8_1xb8-1200it_camvid-180x240.py'
param_scheduler = [dict(_base_.poly, end=400)]
train_cfg = dict(max_iters=400, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=200))
model = dict(backbone=dict(type='AttnResNetV1c'), decode_head=dict(type='FCNHead'))
