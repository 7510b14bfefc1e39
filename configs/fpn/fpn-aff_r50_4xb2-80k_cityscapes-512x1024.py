_base_ = './fpn_r50_4xb2-80k_cityscapes-512x1024.py'
model = dict(neck=dict(type='AFFFPN', fusion=dict(type='AFF', norm_cfg=_base_.norm_cfg)))
