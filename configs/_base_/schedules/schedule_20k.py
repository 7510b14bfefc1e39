_base_ = './schedule_80k.py'
param_scheduler = [dict(_base_.poly, end=20000)]
train_cfg = dict(max_iters=20000, val_interval=2000)
default_hooks = dict(checkpoint=dict(interval=2000))
