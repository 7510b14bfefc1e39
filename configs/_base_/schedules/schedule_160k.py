_base_ = './schedule_80k.py'
param_scheduler = [dict(_base_.poly, end=160000)]
train_cfg = dict(max_iters=160000, val_interval=16000)
default_hooks = dict(checkpoint=dict(interval=16000))
