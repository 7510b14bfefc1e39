_base_ = './fcn-se_r50-d8_4xb2-80k_cityscapes-512x1024.py'
model = dict(backbone=dict(plugins=[dict(_base_.in_blocks, cfg=dict(type='CBAM'))]))
