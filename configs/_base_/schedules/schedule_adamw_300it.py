_base_ = './schedule_adamw_1200it.py'
param_scheduler = [dict(_base_.poly, end=300)]
train_cfg = dict(max_iters=300, val_interval=100)
default_hooks = dict(logger=dict(interval=60), checkpoint=dict(interval=100))
