_base_ = './danet-se_r50-d8_4xb4-160k_ade20k-512x512.py'
model = dict(backbone=dict(plugins=[dict(_base_.in_blocks, cfg=dict(type='CBAM'))]))
